"""How much work an engine gets: nothing for what is known, and the path to the root after an edit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest

from qsum_lsp.document import parse
from qsum_lsp.settings.values import Strategy
from qsum_lsp.summaries import PAGE, Summarizer, SummaryOptions, Usage
from tests.scripted_engine import ScriptedEngine
from tests.summaries.support import PROSE, CountingEngine, DictStore, prompted, texts, tree

OPTIONS = SummaryOptions()
SMALL = 640  # tokens of context, so that a few sections do not fit one prompt

PAGE_TREE = {
    "# Guide": PROSE,
    "## Install": f"Install. {PROSE}",
    "### Linux": f"Linux. {PROSE}",
    "### macOS": f"Apple. {PROSE}",
    "## Use": f"Use. {PROSE}",
    "### Editor": f"Editor. {PROSE}",
}


@pytest.mark.parametrize("strategy", get_args(Strategy))
@pytest.mark.parametrize("context", [4096, SMALL])
async def test_an_unchanged_page_costs_nothing(strategy: Strategy, context: int) -> None:
    text = tree(PAGE_TREE | {"## Long": PROSE * 30})
    options = SummaryOptions(strategy=strategy)
    engine = CountingEngine(context_tokens=context)
    store = DictStore()
    first = await Summarizer(engine, store).summarize(parse(text), options)
    assert set(first.summaries) == {"1", "1.1", "1.1.1", "1.1.2", "1.2", "1.2.1", "1.3", PAGE}
    assert all(one.text and one.source == "model" for one in first.summaries.values())
    assert not first.summaries["1.1.1"].cached
    assert first.usage.new_tokens > 0

    requests, counts, puts = len(engine.requests), engine.counts, store.puts
    later = Summarizer(engine, store)
    known = later.lookup(parse(text), options)
    again = await later.summarize(parse(text.replace("\n", "  \r\n")), options)
    assert texts(known) == texts(again) == texts(first)
    assert all(one.cached for one in again.summaries.values())
    assert again.usage == Usage()
    assert (len(engine.requests), engine.counts, store.puts) == (requests, counts, puts)


async def test_lookup_calls_no_engine_and_knows_what_was_not_edited() -> None:
    engine = CountingEngine()
    summarizer = Summarizer(engine, DictStore())
    text = tree(PAGE_TREE)
    assert summarizer.lookup(parse(text), OPTIONS).summaries == {}
    await summarizer.summarize(parse(text), OPTIONS)
    before = len(engine.requests), engine.counts
    known = summarizer.lookup(parse(text.replace("Linux.", "GNU.")), OPTIONS)
    assert set(known.summaries) == {"1.1.2", "1.2", "1.2.1"}
    assert (len(engine.requests), engine.counts) == before


async def test_a_text_within_the_budget_in_bytes_is_not_counted() -> None:
    engine = CountingEngine()
    await Summarizer(engine, DictStore()).summarize(parse(tree(PAGE_TREE)), OPTIONS)
    assert engine.counts == 0


@pytest.mark.parametrize("context", [4096, SMALL])
async def test_an_edit_in_a_leaf_costs_at_most_its_path(context: int) -> None:
    engine = ScriptedEngine(context_tokens=context)
    summarizer = Summarizer(engine, DictStore())
    text = tree(PAGE_TREE)
    await summarizer.summarize(parse(text), OPTIONS)
    engine.requests.clear()
    edited = parse(text.replace("Linux.", "GNU and Linux."))
    result = await summarizer.summarize(edited, OPTIONS)
    assert {one.section_id for one in result.summaries.values() if not one.cached} <= {
        "1.1.1",
        "1.1",
        "1",
        PAGE,
    }
    assert len(engine.requests) <= 4


async def test_an_equal_summary_stops_the_change() -> None:
    """The page and its one big section are too long for one prompt, so they are made from summaries."""
    engine = ScriptedEngine(context_tokens=SMALL)
    summarizer = Summarizer(engine, DictStore())
    text = tree({"# Guide": PROSE} | {f"## Part {n}": f"Part {n}. {PROSE * 2}" for n in range(8)})
    await summarizer.summarize(parse(text), OPTIONS)
    engine.requests.clear()

    same = await summarizer.summarize(
        parse(text.replace("## Part 3", "## Part 3", 1) + " Quite late."), OPTIONS
    )
    assert len(engine.requests) == 1  # the summary, made of the first words, stays as it was
    assert same.summaries["1"].cached
    engine.requests.clear()

    await summarizer.summarize(parse(text.replace("Part 7. The", "Part 7. One")), OPTIONS)
    assert (
        len(engine.requests) == 2
    )  # section and its parent; the page's prompt does not show so late a change
    assert "Part 7. One server" in prompted(engine.requests[-1])


async def test_a_long_list_of_sections_is_grouped_and_an_edit_redoes_one_group() -> None:
    engine = ScriptedEngine(context_tokens=SMALL)
    summarizer = Summarizer(engine, DictStore())
    text = tree({"# Log": ""} | {f"## Entry {n}": f"Entry number {n}. {PROSE}" for n in range(200)})
    result = await summarizer.summarize(parse(text), OPTIONS)
    assert len(result.summaries) == 202
    engine.requests.clear()
    await summarizer.summarize(parse(text.replace("Entry number 70. The", "Entry number 70. Some")), OPTIONS)
    assert len(engine.requests) < 12  # of about 300


async def test_equal_sections_share_one_request_in_a_page_and_between_pages() -> None:
    engine = ScriptedEngine()
    store = DictStore()
    text = f"## Licence\n\n{PROSE}\n\n## Licence\n\n{PROSE}\n"
    first = await Summarizer(engine, store).summarize(parse(text), OPTIONS, only=["1", "2"])
    assert first.summaries["1"].text == first.summaries["2"].text
    assert len(engine.requests) == 1
    other = f"## Licence\n\n{PROSE}\n\n## More\n\nDifferent. {PROSE}\n"
    second = await Summarizer(engine, store).summarize(parse(other), OPTIONS, only=["1"])
    assert second.summaries["1"].cached
    assert len(engine.requests) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"max_chars": 200},
        {"page_max_chars": 200},
        {"page_style": "one sentence"},
    ],
)
async def test_options_count_only_where_they_matter(change: dict[str, object]) -> None:
    engine = ScriptedEngine()
    summarizer = Summarizer(engine, DictStore())
    document = parse(tree(PAGE_TREE))
    await summarizer.summarize(document, OPTIONS)
    known = summarizer.lookup(document, SummaryOptions(**change))  # type: ignore[arg-type]
    of_sections = {"1", "1.1", "1.1.1", "1.1.2", "1.2", "1.2.1"}
    assert set(known.summaries) == ({PAGE} if "max_chars" in change else of_sections)


async def test_another_engine_knows_nothing() -> None:
    store = DictStore()
    document = parse(tree(PAGE_TREE))
    await Summarizer(ScriptedEngine(), store).summarize(document, OPTIONS)
    assert not Summarizer(ScriptedEngine(fingerprint="other"), store).lookup(document, OPTIONS).summaries


async def test_a_damaged_store_is_an_empty_one() -> None:
    engine = ScriptedEngine(context_tokens=SMALL)
    store = DictStore()
    document = parse(tree(PAGE_TREE | {"## Long": PROSE * 30}))
    first = await Summarizer(engine, store).summarize(document, OPTIONS)
    requests = len(engine.requests)
    for junk in ("", "{", "[]", '{"text": 1}', "-", "x-y 3", "²"):
        store.values = dict.fromkeys(store.values, junk)
        assert texts(await Summarizer(engine, store).summarize(document, OPTIONS)) == texts(first)
    assert len(engine.requests) == 8 * requests


async def test_only_asks_for_no_more_than_it_needs() -> None:
    engine = ScriptedEngine()
    summarizer = Summarizer(engine, DictStore())
    document = parse(tree(PAGE_TREE))
    result = await summarizer.summarize(document, OPTIONS, only={"1.1.2"})
    assert list(result.summaries) == ["1.1.2"]
    assert len(engine.requests) == 1
    with pytest.raises(ValueError, match=r"3\.4"):
        await summarizer.summarize(document, OPTIONS, only=["1", "3.4"])
    assert (await summarizer.summarize(document, OPTIONS, only=[])).summaries == {}
    assert len(engine.requests) == 1


async def test_only_the_page_of_a_long_document_asks_once() -> None:
    engine = ScriptedEngine(context_tokens=SMALL)
    summarizer = Summarizer(engine, DictStore())
    document = parse(tree(PAGE_TREE | {"## Long": PROSE * 30}))
    result = await summarizer.summarize(document, OPTIONS, only=[PAGE])
    assert list(result.summaries) == [PAGE]
    assert len(engine.requests) == 1


class ToldWhenAsked(CountingEngine):
    """A server that tells its context with the first answer."""

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        self.identity = replace(self.identity, context_tokens=100_000)
        return await super().count_tokens(texts)


async def test_a_context_that_is_told_when_the_engine_is_asked_is_used_at_once() -> None:
    text = tree(PAGE_TREE | {f"## Part {number}": f"{number}. {PROSE * 10}" for number in range(10)})
    engine = ToldWhenAsked(context_tokens=SMALL)
    await Summarizer(engine, DictStore()).summarize(parse(text), OPTIONS, only=["1"])
    assert len(engine.requests) == 1
    assert PROSE * 10 in prompted(engine.requests[0])


async def test_requests_under_way_are_bounded() -> None:
    engine = ScriptedEngine(seconds_per_word=0.001)
    text = tree({f"## Entry {n}": f"Entry number {n}. {PROSE}" for n in range(300)})
    await Summarizer(engine, DictStore()).summarize(parse(text), OPTIONS)
    assert engine.most_running == 64
