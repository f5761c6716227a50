"""best_sentence: what it picks, in nine languages, and what it never does for any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qsum_lsp.text.extract import best_sentence, shorten
from tests.text.samples import SAMPLES, Sample


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.language)
def test_the_telling_sentence_wins(sample: Sample) -> None:
    chosen = best_sentence(sample.paragraphs, max_chars=280, title=sample.title, language=sample.language)
    assert chosen == sample.telling


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.language)
def test_the_telling_sentence_wins_without_a_title(sample: Sample) -> None:
    assert best_sentence(sample.paragraphs, max_chars=280, language=sample.language) == sample.telling


@pytest.mark.parametrize(
    "loser",
    [
        "Click here to open the settings of the store.",
        "For more information about the store, see the reference.",
        "The store is configured by the following settings:",
        "Is the store safe for many processes at once?",
        "However, it is emptied by the settings of the user.",
        "Store",
    ],
)
def test_what_tells_nothing_loses_to_a_plain_sentence_after_it(loser: str) -> None:
    plain = "The store keeps summaries in a database that many processes share."
    assert best_sentence([loser, plain], max_chars=280, title="The store") == plain


def test_a_lone_sentence_is_chosen_whatever_it_is() -> None:
    assert best_sentence(["Click here:"], max_chars=280) == "Click here:"


def test_a_sentence_that_fits_beats_a_longer_one() -> None:
    long = "The store keeps " + "many " * 40 + "summaries."
    fitting = "The store keeps all its summaries in one database on disk."
    assert best_sentence([long, fitting], max_chars=80) == fitting


def test_equal_sentences_give_the_first() -> None:
    paragraphs = ["Alpha beta gamma delta epsilon zeta eta theta."] * 3
    assert best_sentence(paragraphs, max_chars=280) == paragraphs[0]


@pytest.mark.parametrize("paragraphs", [[], [""], ["  \n "]])
def test_no_text_gives_nothing(paragraphs: list[str]) -> None:
    assert best_sentence(paragraphs, max_chars=280, title="Title") == ""


def test_line_breaks_inside_a_sentence_become_spaces() -> None:
    assert best_sentence(["The store keeps\nits values  on disk for later."], max_chars=280) == (
        "The store keeps its values on disk for later."
    )


@pytest.mark.parametrize(
    ("sentence", "limit", "short"),
    [
        ("The store keeps summaries, and it forgets the oldest.", 30, "The store keeps summaries…"),
        ("The store keeps summaries and forgets the oldest ones.", 30, "The store keeps summaries and…"),
        ("Short.", 30, "Short."),
        ("摘要缓存把摘要保存在磁盘上，当数据库超过上限时会被清空。", 16, "摘要缓存把摘要保存在磁盘上…"),
        ("摘要缓存把每一个完成的摘要保存在磁盘上的数据库里。", 10, "摘要缓存把每一个完…"),
        ("word", 1, "…"),
    ],
)
def test_shorten(sentence: str, limit: int, short: str) -> None:
    assert shorten(sentence, max_chars=limit) == short


@given(
    st.lists(st.text(max_size=300), max_size=6),
    st.integers(min_value=1, max_value=300),
    st.text(max_size=30),
    st.sampled_from([sample.language for sample in SAMPLES] + ["xx", ""]),
)
def test_any_text_gives_a_part_of_itself_within_the_limit(
    paragraphs: list[str], max_chars: int, title: str, language: str
) -> None:
    chosen = best_sentence(paragraphs, max_chars=max_chars, title=title, language=language)
    assert len(chosen) <= max_chars
    source = " ".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    assert chosen in source or chosen.removesuffix("…") in source
    assert chosen == best_sentence(paragraphs, max_chars=max_chars, title=title, language=language)
