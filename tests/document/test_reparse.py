"""Parsing after an edit gives what parsing everything gives."""

import random

import pytest

from qsum_lsp.document import parse
from qsum_lsp.document.reparse import reparse

PIECES = (
    "# One", "## Two", "### Three", "Setext\n---", "Text of\nsome lines.", "```\n# code\n```", "~~~", "- item\n\n  more",
    "> quote\n> # in it", "<!-- a", "-->", "<div>", "[ref]: /url", "    indented", "", "\t", "| a |\n|---|", "1. x",
    "---\ntitle: x\n---",
)  # fmt: skip
INSERTED = (
    "x",
    " ",
    "\n",
    "\r\n",
    "#",
    "# New\n",
    "\n---\n",
    "```",
    "\n\n",
    "<!--",
    "> ",
    "- ",
    "    ",
    "\n===",
    "]:",
    "",
)


@pytest.mark.parametrize("seed", range(10))
def test_random_edits(seed: int) -> None:
    chosen = random.Random(seed)  # noqa: S311
    reused = 0
    for _ in range(40):
        newline = chosen.choice(("\n", "\n", "\r\n", "\r"))
        pieces = [chosen.choice(PIECES) for _ in range(chosen.randrange(30))]
        text = (newline * chosen.choice((1, 2))).join(pieces).replace("\n", newline)
        document = parse(text)
        for _ in range(8):
            start = chosen.randrange(len(text) + 1)
            end = min(len(text), start + chosen.choice((0, 0, 0, 1, 3, 20)))
            text = text[:start] + chosen.choice(INSERTED) + text[end:]
            again = reparse(document, text)
            expected = parse(text)
            if again is not None:
                reused += 1
                assert again == expected, (document.text, text)
            document = expected
    assert reused > 30


def test_a_key_in_a_section_parses_that_section_alone() -> None:
    text = "# Page\n\nIntro.\n\n" + "".join(f"## Part {index}\n\nText {index}.\n\n" for index in range(50))
    place = text.index("Text 20")
    for inserted in ("x", "\nnew line", "**bold**", "- a list\n- of two\n", "```\ncode\n```\n"):
        edited = text[:place] + inserted + text[place:]
        assert reparse(parse(text), edited) == parse(edited)
    assert reparse(parse(text), text + "The end.") == parse(text + "The end.")
    assert reparse(parse(text), text + "\n") == parse(text + "\n")


def test_edits_all_over_a_page_that_is_compared_in_blocks() -> None:
    text = "# Page\n\n" + "".join(
        f"{'##' if index % 10 == 0 else '###'} Part {index}\n\nText {index}. {'word ' * 40}\n\n"
        for index in range(800)
    )
    document = parse(text)
    for index in (0, 9, 237, 400, 563, 799):
        place = text.index(f"Text {index}.")
        for edited in (text[:place] + "x\n" + text[place:], text[:place] + text[place + 4 :]):
            again = reparse(document, edited)
            assert again is not None
            assert again == parse(edited)
