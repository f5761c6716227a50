"""``qsum check`` in a process of its own: no socket, no engine, no cache."""

import json
import subprocess
import sys
from pathlib import Path

from qsum_lsp.front_matter import set_summary
from tests.front_matter.dev_sites import dev_pages

SCRIPT = """
import json, sys

def forbid(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "sqlite3.")):
        raise AssertionError(event)

sys.addaudithook(forbid)
from qsum_lsp.cli.main import run
code = run(["check", "--json", *sys.argv[1:]])
print(json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""
HEAVY = (
    "torch", "transformers", "xllamacpp", "httpx", "pygls", "rich", "sqlite3", "starlette", "uvicorn", "sentencex",
    "qsum_lsp.engines", "qsum_lsp.summaries", "qsum_lsp.service", "qsum_lsp.store", "qsum_lsp.models", "asyncio", "mistune",
)  # fmt: skip


def test_1000_pages_without_sockets_engines_and_cache(tmp_path: Path) -> None:
    home, site = tmp_path / "home", tmp_path / "site"
    pages = dev_pages()
    for number in range(1000):
        path = site / f"folder-{number % 25}" / f"page-{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = f"---\ntitle: Page {number}\ntags: [a, b]\n---\n{pages[number % len(pages)]['body']}"
        text = set_summary(text, key="summary", summary="What it is about.") if number % 10 else text
        path.write_bytes(text.encode("utf-8"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(site)],
        capture_output=True,
        text=True,
        check=True,
        env={"QSUM_HOME": str(home), "PYTHONPATH": ":".join(sys.path), "PATH": ""},
    )
    *reports, end = map(json.loads, done.stdout.splitlines())
    assert end["code"] == 1
    states = [report["state"] for report in reports]
    assert (states.count("fresh"), states.count("missing")) == (900, 100)
    loaded = [
        name
        for name in end["modules"]
        if name in HEAVY or name.startswith(tuple(f"{heavy}." for heavy in HEAVY))
    ]
    assert loaded == []
    assert not (home / "store").exists()
