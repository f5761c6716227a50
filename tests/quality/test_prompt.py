"""What the model is shown and asked."""

import json
from pathlib import Path

import pytest

from qsum_lsp.summaries.condense import condense
from qsum_lsp.summaries.prompt import PromptInput, build_prompt

MULTILINGUAL = Path(__file__).parent / "data" / "multilingual.jsonl"
NAMES = {
    "de": "German", "fr": "French", "es": "Spanish", "pt": "Portuguese", "it": "Italian", "ru": "Russian",
    "zh": "Chinese", "ja": "Japanese",
}  # fmt: skip

PAGE = (
    """Intro of the [page](x.md) with **words**.

## One

First text here.

```sh
a
b
c
d
```

| k | v |
|---|---|
| 1 | 2 |
| 3 | 4 |
| 5 | 6 |

## Two

"""
    + "word " * 400
    + "\n\n## Three\n\nLast.\n\n### Four\n"
)


def test_a_page_is_cut_to_its_beginning_and_its_headings() -> None:
    shown = condense(PAGE, max_words=60)
    lines = shown.splitlines()
    assert lines[0] == "Intro of the page with words."
    assert lines[1:5] == ["## One", "First text here.", "a", "b"]
    assert "c" not in lines
    assert "5 | 6" not in shown
    assert lines[-1] == "Further headings: Three; Four"
    assert 40 < shown.count("word") < 60
    assert condense("", max_words=60) == ""


@pytest.mark.parametrize(
    "markdown",
    [
        "缓存保留令牌" * 500,
        " ".join(["ระบบจัดเก็บข้อมูลทั้งหมดไว้ในฐานข้อมูลแบบกระจาย"] * 200),
        "f" * 100_000,
        " ".join(["f" * 500] * 200),
        f"# {'f' * 100_000}",
    ],
)
def test_text_without_spaces_is_cut_too(markdown: str) -> None:
    assert 90 < len(condense(markdown, max_words=50)) < 1100


def test_a_page_of_headings_alone_is_cut_too() -> None:
    shown = condense("\n\n".join(f"## Option {number}" for number in range(5000)), max_words=50)
    assert "## Option 99\n" in shown
    assert "Option 130" not in shown


def test_the_longest_page_costs_no_more_than_a_long_one() -> None:
    long, longest = ("# T\n\n" + "Some words stand here. " * count for count in (500, 50_000))
    prompts = [
        build_prompt(PromptInput(headings=("T",), markdown=text, max_chars=280, is_page=True))
        for text in (long, longest)
    ]
    assert prompts[0].messages == prompts[1].messages
    assert len(prompts[1].source) > 50 * len(prompts[0].source)


def test_prompts_of_a_kind_begin_alike() -> None:
    one, other = (
        build_prompt(PromptInput(headings=("T", title), markdown=f"Text {title}.", max_chars=280)).messages
        for title in ("a", "b")
    )
    assert one[0] == other[0]
    assert one[1] != other[1]


@pytest.mark.parametrize("is_page", [True, False])
@pytest.mark.parametrize("line", MULTILINGUAL.read_text("utf-8").splitlines())
def test_the_language_of_the_page_is_asked_for(line: str, is_page: bool) -> None:
    page = json.loads(line)
    prompt = build_prompt(
        PromptInput(headings=(page["title"],), markdown=page["body"], max_chars=280, is_page=is_page)
    )
    assert f"Write in {NAMES[page['language']]}." in prompt.messages[-1].content


def test_english_style_and_feedback() -> None:
    prompt = build_prompt(
        PromptInput(
            headings=("T",),
            markdown="Some text is here.",
            max_chars=160,
            is_page=True,
            page_style="one sentence of about 60 characters",
            feedback=("the number 5 is not in the text",),
        )
    )
    asked = prompt.messages[-1].content
    assert "Write in" not in asked
    assert "one sentence of about 60 characters" in asked
    assert "the number 5 is not in the text" in asked
    assert "Title: T" in asked


def test_summaries_of_parts_are_shown_and_are_source() -> None:
    prompt = build_prompt(
        PromptInput(
            headings=("T",), markdown="", max_chars=280, parts=(("One", "It does."), ("", "So there."))
        )
    )
    assert "One: It does." in prompt.messages[-1].content
    assert prompt.source == "One: It does.\n\nSo there."
