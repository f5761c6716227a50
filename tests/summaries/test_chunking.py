from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsum_lsp.summaries.chunking import Chunk, Unit, leaves, pack, split_units
from qsum_lsp.summaries.nodes import byte_length
from tests.summaries.support import PROSE

BLOCKS = st.sampled_from(
    [
        "One sentence. And another one! A third?",
        "## A heading",
        "- item one\n- item two\n  more of it",
        "```python\nx = 1\n\n\ny = 2\n```",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "> quoted text. Two sentences.",
        "<!-- a comment -->",
        "[ref]: https://example.org/some/where",
        "<div>html</div>",
        "第一句话。第二句话！",
        "x" * 90,
        "~~~\nnever closed",
        "1. one\n\n   ```sh\n   run\n   ```",
    ]
)
MARKDOWN = st.lists(BLOCKS | st.text(max_size=40), max_size=12).map("\n\n".join)


def words(text: str) -> int:
    return len(text.split())


def cut(text: str, limit: int, *, by_sentence: bool) -> list[str]:
    units = split_units(text, max_bytes=limit, by_sentence=by_sentence)
    sizes = {unit: words(text[unit.start : unit.end]) for unit in leaves(units)}
    return [text[c.start : c.end] for c in pack(units, sizes, limit=limit, overlap=by_sentence)]


def tiles(units: Iterable[Unit], start: int, end: int) -> bool:
    at = start
    for unit in units:
        if unit.start != at or unit.end <= at or (unit.parts and not tiles(unit.parts, unit.start, unit.end)):
            return False
        at = unit.end
    return at == end


@settings(deadline=None)
@given(text=MARKDOWN.filter(bool), max_bytes=st.integers(8, 200), by_sentence=st.booleans())
def test_units_tile_the_text_and_leaves_are_small(text: str, max_bytes: int, by_sentence: bool) -> None:
    text = text.encode("utf-8", "replace").decode()
    units = split_units(text, max_bytes=max_bytes, by_sentence=by_sentence)
    assert tiles(units, 0, len(text))
    assert all(byte_length(text[unit.start : unit.end]) <= max_bytes for unit in leaves(units))


@settings(deadline=None)
@given(text=MARKDOWN.filter(bool), limit=st.integers(8, 100), by_sentence=st.booleans())
def test_chunks_cover_all_text_within_the_limit(text: str, limit: int, by_sentence: bool) -> None:
    text = text.encode("utf-8", "replace").decode()
    units = split_units(text, max_bytes=limit, by_sentence=by_sentence)
    sizes = {unit: byte_length(text[unit.start : unit.end]) for unit in leaves(units)}
    chunks = pack(units, sizes, limit=limit, overlap=by_sentence)
    assert chunks[0].start == 0
    assert chunks[-1].end == len(text)
    for before, after in pairwise(chunks):
        assert before.start < after.start <= before.end < after.end
        if not by_sentence:
            assert after.start == before.end
    for chunk in chunks:
        assert byte_length(text[chunk.start : chunk.end]) <= limit


def test_blocks_stay_whole_and_a_heading_stays_with_what_follows() -> None:
    code = "```python\n" + "value = 1\n" * 10 + "```"
    table = "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 6
    text = "\n\n".join((PROSE, "## Code", code, PROSE, table, "## Last", PROSE))
    for by_sentence in (False, True):
        chunks = cut(text, 60, by_sentence=by_sentence)
        assert len(chunks) > 2
        assert any(code in chunk for chunk in chunks)
        assert any(table.strip() in chunk for chunk in chunks)
    assert not any(
        chunk.rstrip().endswith(("## Code", "## Last")) for chunk in cut(text, 60, by_sentence=False)
    )


def test_a_block_larger_than_the_limit_is_cut_at_lines() -> None:
    rows = [f"| row {number} | value |\n" for number in range(60)]
    text = "| a | b |\n|---|---|\n" + "".join(rows)
    chunks = cut(text, 50, by_sentence=False)
    assert len(chunks) > 2
    assert "".join(chunks) == text
    assert all(chunk.endswith("\n") for chunk in chunks)


def test_a_line_larger_than_the_limit_is_cut_at_sentences_then_at_spaces() -> None:
    text = f"{PROSE} " * 30
    chunks = cut(text, 100, by_sentence=False)
    assert all(chunk.rstrip().endswith(".") for chunk in chunks)
    words_only = "word " * 400
    assert all(chunk.startswith("word") for chunk in cut(words_only, 90, by_sentence=False))


@pytest.mark.parametrize("limit", [100, 200, 400])
def test_sliding_chunks_overlap_by_ten_to_twenty_percent(limit: int) -> None:
    text = " ".join(f"Sentence number {n} says that value {n} is set." for n in range(400))
    units = split_units(text, max_bytes=limit, by_sentence=True)
    sizes = {unit: words(text[unit.start : unit.end]) for unit in leaves(units)}
    chunks = pack(units, sizes, limit=limit, overlap=True)
    assert len(chunks) > 5
    for before, after in pairwise(chunks):
        shared = words(text[after.start : before.end])
        assert 0.1 * limit <= shared <= 0.2 * limit
        assert text[after.start :].startswith("Sentence")


def test_nothing_to_pack() -> None:
    assert pack((), {}, limit=10) == []
    assert pack((Unit(0, 3),), {Unit(0, 3): 99}, limit=10) == [Chunk(0, 3)]
