"""Headings agree with markdown-it-py, the reference of these tests."""

import json
from pathlib import Path

import pytest

from qsum_lsp.document import parse
from tests.document.reference import own_headings, reference_headings

HERE = Path(__file__).parent


def _read_lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


SPEC = _read_lines(HERE / "data" / "commonmark-0.31.2.jsonl")
PAGES = _read_lines(HERE.parent / "data" / "docs-dev.jsonl")


def assert_headings_agree(text: str) -> None:
    """Level, title and line of every top-level heading are markdown-it-py's; front matter is taken off first."""
    document = parse(text)
    body = text[document.body_start :]
    first_line = 1 + text[: document.body_start].count("\n")
    assert own_headings(document) == reference_headings(body, first_line=first_line)


def test_all_cases_are_there() -> None:
    assert len(SPEC) == 652
    assert len(PAGES) == 119


@pytest.mark.parametrize("case", SPEC, ids=lambda case: f"{case['example']}")
def test_commonmark_specification(case: dict[str, str]) -> None:
    assert_headings_agree(case["markdown"])
    assert_headings_agree("First.\n\n# Second\n\n" + case["markdown"] + "\n# Last\n")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page["id"])
def test_documentation_pages(page: dict[str, str]) -> None:
    assert_headings_agree(page["body"])
    assert_headings_agree(f"---\ntitle: {json.dumps(page['title'])}\n---\n{page['body']}")
