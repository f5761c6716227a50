"""A commit in which every summary is fresh: nothing is asked, and nothing is imported to ask with."""

import json
import subprocess
import sys
from pathlib import Path

from qsum_lsp.front_matter import set_summary

SCRIPT = """
import json, sys

def forbid(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.fork", "sqlite3.")):
        raise AssertionError(event)

sys.addaudithook(forbid)
from qsum_hooks.summaries import main
code = main(sys.argv[1:])
print(json.dumps({"code": code, "modules": sorted(sys.modules)}))
"""
HEAVY = {
    "asyncio", "filelock", "httpx", "mistune", "psutil", "qsum_lsp.engines", "qsum_lsp.models", "qsum_lsp.service",
    "qsum_lsp.store", "qsum_lsp.summaries", "rich", "sqlite3", "torch", "xllamacpp",
}  # fmt: skip


def test_a_commit_with_fresh_pages_loads_nothing(tmp_path: Path) -> None:
    pages = []
    for number in range(3):
        page = tmp_path / f"page-{number}.md"
        text = "---\ntitle: T\n---\nThe client sends a request again when the server does not answer.\n"
        page.write_text(set_summary(text, key="summary", summary="What it is about."))
        pages.append(str(page))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *pages],
        capture_output=True,
        text=True,
        check=True,
        env={"QSUM_HOME": str(tmp_path / "home"), "PYTHONPATH": ":".join(sys.path), "PATH": ""},
    )
    *reports, _totals, end = done.stdout.splitlines()
    assert reports == [f"{page}: fresh" for page in pages]
    found = json.loads(end)
    assert found["code"] == 0
    assert HEAVY.isdisjoint(found["modules"])
