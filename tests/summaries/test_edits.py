"""Random documents under random edits: what an edit costs, and that a warm run tells what a fresh one tells."""

import asyncio
from dataclasses import dataclass
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from qsum_lsp.document import Document, Section, parse
from qsum_lsp.settings.values import Strategy
from qsum_lsp.summaries import DocumentSummary, Summarizer, SummaryOptions
from tests.scripted_engine import ScriptedEngine
from tests.summaries.support import DictStore

WORDS = st.sampled_from(
    [
        "server",
        "client",
        "token",
        "index",
        "cache",
        "value",
        "7",
        "12",
        "reads",
        "writes",
        "keeps",
        "drops",
        "the",
        "a",
    ]
)
SENTENCE = st.lists(WORDS, min_size=3, max_size=12).map(lambda words: " ".join(words).capitalize() + ".")
OWN = st.one_of(
    st.just(""),
    SENTENCE,
    st.lists(SENTENCE, min_size=4, max_size=8).map(" ".join),
    st.lists(SENTENCE, min_size=1, max_size=4).map("\n\n".join),
    SENTENCE.map(lambda sentence: f"{sentence}\n\n```sh\nrun --fast\nstop\n```"),
    SENTENCE.map(lambda sentence: f"- {sentence}\n- item"),
)


@dataclass(frozen=True)
class Part:
    level: int
    title: str
    own: str


PARTS = st.lists(
    st.builds(Part, level=st.integers(2, 4), title=st.sampled_from(["Install", "Use", "API", ""]), own=OWN),
    min_size=1,
    max_size=10,
)


def render(parts: list[Part]) -> str:
    return "# Guide\n\n" + "\n\n".join(f"{'#' * part.level} {part.title}\n\n{part.own}" for part in parts)


def path_length(document: Document, index: int) -> int:
    """The sections from the ``index``-th one to the root, the page among them."""
    edited = list(document.walk())[index]

    def holds(section: Section) -> bool:
        return any(inner is edited for inner in section.walk())

    return sum(holds(section) for section in document.walk()) + 1


def told(summary: DocumentSummary) -> list[tuple[str, str, str, str]]:
    return [(one.section_id, one.text, one.source, one.note) for one in summary.summaries.values()]


@settings(deadline=None, max_examples=80)
@given(
    parts=PARTS,
    edits=st.lists(st.tuples(st.integers(0, 9), OWN), min_size=1, max_size=4),
    context=st.sampled_from([4096, 640]),
)
def test_each_edit_costs_at_most_its_path(
    parts: list[Part], edits: list[tuple[int, str]], context: int
) -> None:
    async def check() -> None:
        engine = ScriptedEngine(context_tokens=context)
        summarizer = Summarizer(engine, DictStore())
        options = SummaryOptions(min_words=6)
        current = list(parts)
        await summarizer.summarize(parse(render(current)), options)
        for place, own in edits:
            index = place % len(current)
            old = current[index]
            current[index] = Part(old.level, old.title, own)
            document = parse(render(current))
            engine.requests.clear()
            warm = await summarizer.summarize(document, options)
            first_tries = [
                request for request in engine.requests if "An earlier try" not in request.messages[-1].content
            ]
            assert len(first_tries) <= path_length(document, index + 1)
            fresh = Summarizer(ScriptedEngine(context_tokens=context), DictStore())
            assert told(warm) == told(await fresh.summarize(document, options))
            assert told(summarizer.lookup(document, options)) == told(warm)

    asyncio.run(check())


@settings(deadline=None, max_examples=60)
@given(
    before=PARTS,
    after=PARTS,
    context=st.sampled_from([4096, 640, 300]),
    strategy=st.sampled_from(get_args(Strategy)),
    repeat=st.integers(1, 12),
)
def test_a_warm_run_tells_what_a_fresh_one_tells(
    before: list[Part], after: list[Part], context: int, strategy: Strategy, repeat: int
) -> None:
    """Any document after any other, with every strategy, texts longer than the context among them."""

    async def check() -> None:
        options = SummaryOptions(strategy=strategy, min_words=6)
        long = [Part(part.level, part.title, f"{part.own} " * repeat) for part in after]
        summarizer = Summarizer(ScriptedEngine(context_tokens=context), DictStore())
        await summarizer.summarize(parse(render(before)), options)
        await summarizer.summarize(parse(render(before + after)), options)
        warm = await summarizer.summarize(parse(render(long)), options)
        engine = ScriptedEngine(context_tokens=context)
        fresh = Summarizer(engine, DictStore())
        assert told(warm) == told(await fresh.summarize(parse(render(long)), options))
        requests = len(engine.requests)
        assert told(fresh.lookup(parse(render(long)), options)) == told(warm)
        assert len(engine.requests) == requests

    asyncio.run(check())


@settings(deadline=None, max_examples=60)
@given(text=st.text(max_size=400) | st.text(alphabet="#\n -`|=>ab.[]()<!", max_size=400))
def test_any_text_at_all_is_summarised(text: str) -> None:
    document = parse(text)
    engine = ScriptedEngine(context_tokens=200)
    result = asyncio.run(Summarizer(engine, DictStore()).summarize(document, SummaryOptions(min_words=3)))
    assert len(result.summaries) == len(list(document.walk())) + 1
    assert engine.running == 0
