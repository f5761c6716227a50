"""``qsum update --llms-txt``."""

from pathlib import Path

import pytest

from qsum_lsp.cli.main import run
from tests.scripted_engine import ScriptedEngine


def _page(path: Path, title: str, summary: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"---\ntitle: {title}\nsummary: {summary}\n---\nSome words here.\n", encoding="utf-8")


@pytest.fixture
def site(engine: ScriptedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "site"
    _page(root / "index.md", "The Site", "What the site is.")
    _page(root / "start.md", "Start [here]", "How to start.")
    _page(root / "guide" / "_index.md", "The guide", "How to go on.")
    _page(root / "guide" / "a b.md", "A and B", "Two letters.")
    _page(root / "ref" / "x.md", "X", "What X is.")
    monkeypatch.chdir(root)
    return root


EXPECTED = """\
# The Site

> What the site is.

## Pages

- [Start \\[here\\]](start.md): How to start.

## The guide

- [The guide](guide/_index.md): How to go on.
- [A and B](guide/a%20b.md): Two letters.

## ref

- [X](ref/x.md): What X is.

<!-- Written by qsum: change the pages and run qsum update with --llms-txt again. -->
"""


def test_written_once(site: Path) -> None:
    assert run(["update", ".", "--llms-txt"]) == 1
    assert (site / "llms.txt").read_text(encoding="utf-8") == EXPECTED
    assert run(["update", ".", "--llms-txt"]) == 0
    assert run(["update", ".", "--llms-txt", "out.txt"]) == 1
    assert (site / "out.txt").read_text(encoding="utf-8") == EXPECTED


def test_one_that_a_person_wrote_stays(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "llms.txt").write_text("# Mine\n")
    assert run(["update", ".", "--llms-txt"]) == 4
    assert "was not written by qsum" in capsys.readouterr().err
    assert (site / "llms.txt").read_text() == "# Mine\n"
    assert run(["update", ".", "--llms-txt", "--force", "--diff"]) == 1
    assert (site / "llms.txt").read_text() == "# Mine\n"


@pytest.mark.parametrize("page", ["start.md", "start.MDX", "start.Rmd"])
def test_a_page_is_never_taken_for_the_file(
    site: Path, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _page(site / page, "Start", "How to start.")
    before = (site / page).read_bytes()
    assert run(["update", "--force", "--llms-txt", page, "index.md"]) == 2
    assert "write --llms-txt=llms.txt before the pages" in capsys.readouterr().err
    assert (site / page).read_bytes() == before
    assert run(["update", "--llms-txt=llms.txt", page, "index.md"]) == 1
    assert "How to start." in (site / "llms.txt").read_text(encoding="utf-8")


def test_new_summaries_are_in_it(site: Path) -> None:
    (site / "new.md").write_text("# New page\n\nIt says something of use here.\n", encoding="utf-8")
    assert run(["update", ".", "--llms-txt"]) == 1
    assert "- [New page](new.md): It says something of use here." in (site / "llms.txt").read_text(
        encoding="utf-8"
    )
