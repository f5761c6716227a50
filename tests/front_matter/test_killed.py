"""A run that is killed leaves every file as it was or as it was to become."""

import os
import random
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from qsum_lsp.cli.main import run
from tests.scripted_engine import ScriptedEngine

RUNS = 200

pytestmark = pytest.mark.timeout(900)  # a fork, a kill and two reads each, on any machine
PAGES = 4


@pytest.mark.skipif(sys.platform == "win32", reason="no fork and no SIGKILL")
def test_every_file_is_old_or_new_after_sigkill(engine: ScriptedEngine, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    pages = [site / f"{number}.md" for number in range(PAGES)]
    body = "# Page\n\n" + "Many words stand on this page. " * 200
    old = {page: f"---\ntitle: {page.name}\n---\n{body}".encode() for page in pages}

    def restore() -> None:
        for page in pages:
            page.write_bytes(old[page])

    def start() -> int:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os._exit(run(["update", str(site)]))
        return child

    import_module("qsum_lsp.summaries.summarizer")  # once here, not again in each child
    restore()
    began = time.monotonic()
    assert os.waitstatus_to_exitcode(os.waitpid(start(), 0)[1]) == 1
    whole_run = time.monotonic() - began
    new = {page: page.read_bytes() for page in pages}
    assert all(b"# qsum:1 " in new[page] for page in pages)

    chance = random.Random(1)  # noqa: S311
    for _ in range(RUNS):
        restore()
        child = start()
        time.sleep(chance.uniform(0, whole_run))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        for page in pages:
            assert page.read_bytes() in (old[page], new[page])

    assert os.waitstatus_to_exitcode(os.waitpid(start(), 0)[1]) in (0, 1)
    assert {page: page.read_bytes() for page in pages} == new
    assert sorted(site.iterdir()) == pages, "no temporary file is left"
