"""What stands in for an answer that cannot be used, as whole sentences."""

import pytest

from qsum_lsp.summaries.fallback import extract
from qsum_lsp.summaries.prompt import PromptInput

LONG = "The cache keeps " + "very " * 60 + "many answers."


def fallback(markdown: str, *, max_chars: int = 280) -> str:
    prompt_input = PromptInput(headings=("Cache",), markdown=markdown, max_chars=max_chars, is_page=True)
    return extract(prompt_input, markdown, why="it is a test").text


def test_a_sentence_that_fits_is_better_than_a_longer_one_cut() -> None:
    assert fallback(f"{LONG} It forgets all of them when the server stops.") == (
        "It forgets all of them when the server stops."
    )


def test_where_no_sentence_fits_one_is_cut() -> None:
    assert fallback(LONG).endswith("…")


def test_a_short_section_is_shown_whole() -> None:
    text = "It forgets all when it stops. It keeps nothing on disk."
    prompt_input = PromptInput(headings=("Cache",), markdown=text, max_chars=280)
    answer = extract(prompt_input, text, why="it is a test")
    assert (answer.text, answer.note) == (text, "The text itself, since it is a test.")
    long = PromptInput(headings=("Cache",), markdown=text, max_chars=40)
    assert extract(long, text, why="it is a test").text == "It forgets all when it stops."


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        (
            "This table is meant to help users understand the options of the cache.",
            "Help users understand the options of the cache.",
        ),
        (
            "This page describes how to clear the cache of the server.",
            "How to clear the cache of the server.",
        ),
    ],
)
def test_the_sentence_does_not_speak_of_its_page(sentence: str, expected: str) -> None:
    assert fallback(f"{sentence} See there.") == expected


TABLE = "| figure | how |\n|---|---|\n| first answer | `python -m bench` |\n| memory | `ps` |\n"


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        (f"{TABLE}\nAll were taken on an idle machine.", "All were taken on an idle machine."),
        (TABLE, "figure: first answer; memory"),
        ("| first answer | 12 ms |\n| memory | 1 GB |\n\nAll were taken on one machine.", "All were taken on one machine."),
        ("1.\n\nIt forgets them when it stops.", "It forgets them when it stops."),
        ("![A large diagram of the cache](c.png)\n\nIt forgets them when it stops.", "It forgets them when it stops."),
        ("```sh\ncache clear --all\n```\n\nIt forgets them when it stops.", "It forgets them when it stops."),
        ("You can help the cache by:\n\n- reporting faults.\n- answering questions.\n", "You can help the cache by: reporting faults; answering questions."),
        ("https://cache.example.org/a-long-path/to-a-page\n\nIt forgets them when it stops.", "It forgets them when it stops."),
    ],
)  # fmt: skip
def test_the_sentence_is_prose(markdown: str, expected: str) -> None:
    assert fallback(markdown) == expected
