"""What becomes of an engine's answers, good and bad."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from qsum_lsp.document import parse
from qsum_lsp.engines.protocol import (
    Completion,
    EngineFailed,
    EngineIdentity,
    GenerationRequest,
    OnText,
    Priority,
    RequestTooLong,
)
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.summaries import (
    PAGE,
    ProgressEvent,
    SectionDone,
    SectionStarted,
    SectionSummary,
    SectionText,
    Summarizer,
    SummaryOptions,
)
from tests.scripted_engine import ScriptedEngine, first_words
from tests.summaries.support import PROSE, DictStore, prompted, summarize, tree

OPTIONS = SummaryOptions()
LEAF = f"## Settings\n\n{PROSE}\n"


async def one(engine: ScriptedEngine, store: DictStore | None = None):  # type: ignore[no-untyped-def]
    summarizer = Summarizer(engine, store or DictStore())
    result = await summarizer.summarize(parse(LEAF), OPTIONS, only=["1"])
    return result.summaries["1"]


async def test_a_good_answer_is_the_models() -> None:
    summary = await one(ScriptedEngine(lambda _: "Settings are read once at start."))
    assert (summary.text, summary.source, summary.grounded, summary.note) == (
        "Settings are read once at start.",
        "model",
        True,
        "",
    )


async def test_an_ungrounded_answer_gets_a_second_try() -> None:
    answers = iter(["Settings are read 17 times.", "Settings are read once at start."])
    engine = ScriptedEngine(lambda _: next(answers))
    summary = await one(engine)
    assert (summary.text, summary.source, summary.grounded) == (
        "Settings are read once at start.",
        "model",
        True,
    )
    assert "17" in prompted(engine.requests[1])
    assert "17" not in prompted(engine.requests[0])


async def test_twice_ungrounded_is_replaced_by_a_sentence_and_kept() -> None:
    engine = ScriptedEngine(lambda _: "Settings are read 17 times.")
    store = DictStore()
    summary = await one(engine, store)
    assert summary.source == "extractive"
    assert summary.text in PROSE
    assert summary.grounded is None
    assert "17" in summary.note
    assert len(engine.requests) == 2
    again = await one(engine, store)
    assert again.cached
    assert (again.text, again.source, again.note) == (summary.text, summary.source, summary.note)
    assert len(engine.requests) == 2


QUOTED = "Backup retention keeps seven daily copies and deletes older copies every night."
REPORT = [
    "You will find below what we learned when disks failed in March.",
    "Operators replaced them within a day, and other machines copied what was missing.",
    "Nobody noticed anything, because reads went elsewhere meanwhile.",
    "Two of the machines had older firmware, which made the repair slower than planned.",
    "We now order spare parts every quarter and keep them in the same building.",
    "The on-call team writes a short report after each such event.",
]
BEGINNING = "\n\n".join(" ".join(REPORT[number:] + REPORT[:number]) for number in range(4))


async def test_a_page_is_not_told_in_a_sentence_that_it_holds_no_longer() -> None:
    engine = ScriptedEngine(lambda _: "Settings are read 17 times.")
    summarizer = Summarizer(engine, DictStore())

    async def page(end: str) -> SectionSummary:
        document = parse(f"# Backup retention\n\n{BEGINNING}\n\n{end}")
        found = await summarizer.summarize(document, SummaryOptions(), only={PAGE})
        assert summarizer.lookup(document, SummaryOptions(), only={PAGE}).summaries[PAGE].cached
        return found.summaries[PAGE]

    first = await page(QUOTED)
    assert (first.text, first.source) == (QUOTED, "extractive")
    requests = len(engine.requests)
    assert (await page(QUOTED)).cached
    assert len(engine.requests) == requests
    # the prompt of a page does not show this edit
    second = await page("Nothing is kept for longer than that.")
    assert second.text in BEGINNING
    assert engine.requests[-1].messages == engine.requests[requests - 1].messages


@pytest.mark.parametrize("garbage", ["", "   ", "\x00\x07", "![](x.png)", "<br>", "Alpha " * 400])
async def test_garbage_is_replaced_by_a_sentence(garbage: str) -> None:
    summary = await one(ScriptedEngine(lambda _: garbage))
    assert summary.source == "extractive"
    assert summary.text
    assert summary.text in PROSE
    assert summary.note


@pytest.mark.parametrize(
    "answer",
    [
        "One or two short sentences, at most 40 words.",
        "This section has settings that the server reads once.",
        "Settings are read once, as described in the text.",
    ],
)
async def test_an_answer_that_speaks_of_the_request_or_of_the_text_gets_a_second_try(answer: str) -> None:
    engine = ScriptedEngine(
        lambda _: answer if len(engine.requests) == 1 else "The server reads its settings once."
    )
    summary = await one(engine)
    assert (summary.text, summary.source) == ("The server reads its settings once.", "model")


async def test_an_answer_longer_than_its_source_is_not_shown() -> None:
    short = "It starts fast, it stops fast, it never asks twice, it keeps all it was told, and no more than a word of it."
    engine = ScriptedEngine(lambda _: "It starts fast and stops fast, " * 5 + "and so on.")
    result = await summarize(f"# A\n\n{short}\n", engine, SummaryOptions(min_words=5))
    assert result.summaries["1"].source == "extractive"
    assert len(result.summaries["1"].text) <= len(short)


async def test_a_request_that_fails_is_repeated() -> None:
    def answer(request: GenerationRequest) -> str:
        if len(engine.requests) == 1:
            raise EngineFailed("lost a slot")
        return first_words(request)

    engine = ScriptedEngine(answer)
    assert (await one(engine)).source == "model"
    assert len(engine.requests) == 2


async def test_a_failing_engine_leaves_a_sentence_that_is_not_kept() -> None:
    def answer(request: GenerationRequest) -> str:
        raise EngineFailed("out of memory")

    engine = ScriptedEngine(answer)
    store = DictStore()
    summary = await one(engine, store)
    assert summary.source == "extractive"
    assert summary.text in PROSE
    assert "out of memory" in summary.note
    assert len(engine.requests) == 2
    engine.answer = first_words
    assert (await one(engine, store)).source == "model"


class FailsToCount(ScriptedEngine):
    """Loses its process while it counts, ``failures`` times."""

    def __init__(self, failures: int) -> None:
        super().__init__(context_tokens=640)
        self.failures = failures

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        self.failures -= 1
        if self.failures >= 0:
            raise EngineFailed("the model process was ended by signal 9")
        return await super().count_tokens(texts)


async def test_a_count_that_fails_is_repeated_once() -> None:
    text = tree({"# Guide": PROSE * 10, "## Use": PROSE * 10})
    summary = await summarize(text, FailsToCount(1))
    assert all(one.source == "model" for one in summary.summaries.values())
    with pytest.raises(EngineUnavailable, match="signal 9"):
        await summarize(text, FailsToCount(2))


async def test_an_engine_that_is_gone_ends_the_run_and_what_is_finished_stays() -> None:
    class Leaving(ScriptedEngine):
        finished = 0

        async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
            if "Third" in prompted(request):
                while self.finished < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                raise EngineUnavailable("the engine left")
            completion = await super().generate(request, on_text=on_text)
            self.finished += 1
            return completion

    engine = Leaving()
    store = DictStore()
    text = tree({f"## {name}": f"{name}. {PROSE}" for name in ("First", "Second", "Third", "Fourth")})
    summarizer = Summarizer(engine, store)
    with pytest.raises(EngineUnavailable, match="left"):
        await summarizer.summarize(parse(text), OPTIONS)
    assert engine.running == 0
    assert {"1", "2"} <= set(summarizer.lookup(parse(text), OPTIONS).summaries)


async def test_a_prompt_that_the_engine_finds_too_long_is_split() -> None:
    def answer(request: GenerationRequest) -> str:
        if len(prompted(request).split()) > 300:
            raise RequestTooLong("too long")
        return first_words(request)

    engine = ScriptedEngine(answer)
    store = DictStore()
    text = tree({"# Guide": PROSE} | {f"## Part {n}": f"Part {n}. {PROSE * 12}" for n in range(3)})
    result = await Summarizer(engine, store).summarize(parse(text), OPTIONS)
    assert all(summary.source == "model" for summary in result.summaries.values())
    requests = len(engine.requests)
    again = await Summarizer(engine, store).summarize(parse(text), OPTIONS)
    assert all(summary.cached for summary in again.summaries.values())
    assert len(engine.requests) == requests


async def test_what_no_splitting_makes_short_enough_gets_a_sentence() -> None:
    def answer(request: GenerationRequest) -> str:
        raise RequestTooLong("too long")

    engine = ScriptedEngine(answer)
    text = tree({"# Guide": PROSE} | {f"## Part {n}": f"Part {n}. {PROSE * 12}" for n in range(3)})
    store = DictStore()
    result = await Summarizer(engine, store).summarize(parse(text), OPTIONS)
    assert all(summary.source == "extractive" and summary.text for summary in result.summaries.values())
    assert "context" in result.summaries["1"].note
    requests = len(engine.requests)
    await Summarizer(engine, store).summarize(parse(text), OPTIONS)
    assert len(engine.requests) == requests


async def test_an_extractive_engine_is_not_checked() -> None:
    engine = ScriptedEngine(lambda _: "The number 17 stands nowhere.")
    engine.identity = EngineIdentity(
        name="extractive", model="extractive", fingerprint="extractive-1", context_tokens=1_000_000
    )
    summary = await one(engine)
    assert (summary.text, summary.source, summary.grounded) == (
        "The number 17 stands nowhere.",
        "extractive",
        None,
    )


async def test_code_alone_falls_back_to_its_first_line() -> None:
    text = "# A\n\n```sh\nmake all\nmake install\n```\n"
    result = await summarize(text, ScriptedEngine(lambda _: ""))
    assert (result.summaries["1"].text, result.summaries["1"].source) == ("make all", "extractive")


async def test_a_section_without_visible_text_is_empty_and_costs_nothing() -> None:
    engine = ScriptedEngine()
    result = await summarize(f"# A\n\n<!-- {'hidden ' * 400} -->\n", engine)
    assert {one.text for one in result.summaries.values()} == {""}
    assert {one.source for one in result.summaries.values()} == {"verbatim"}
    assert engine.requests == []


async def test_an_empty_document_has_an_empty_page() -> None:
    result = await summarize("", ScriptedEngine())
    assert list(result.summaries) == [PAGE]
    assert result.summaries[PAGE].text == ""


async def test_events_start_stream_and_finish() -> None:
    events: list[ProgressEvent] = []
    document = parse(tree({"# Guide": PROSE, "## Short": "Just this."}))
    summarizer = Summarizer(ScriptedEngine(), DictStore())
    await summarizer.summarize(document, OPTIONS, on_progress=events.append)
    done = [event for event in events if isinstance(event, SectionDone)]
    assert [(event.done, event.total) for event in done] == [(1, 3), (2, 3), (3, 3)]
    assert done[0].summary.section_id == "1.1"
    started = [event for event in events if isinstance(event, SectionStarted)]
    assert {(event.section_id, event.title) for event in started} == {("1", "Guide"), (PAGE, "Guide")}
    for section_id in ("1", PAGE):
        pieces = [e.piece for e in events if isinstance(e, SectionText) and e.section_id == section_id]
        assert len(pieces) > 3
        assert "".join(pieces) == " ".join(PROSE.split()[:12]) + "."

    events.clear()
    await summarizer.summarize(document, OPTIONS, on_progress=events.append)
    assert [type(event) for event in events] == [SectionDone] * 3


async def test_a_second_try_does_not_stream() -> None:
    events: list[ProgressEvent] = []
    answers = itertools.cycle(["It is 17 times.", "Settings are read once."])
    summarizer = Summarizer(ScriptedEngine(lambda _: next(answers)), DictStore())
    await summarizer.summarize(parse(LEAF), OPTIONS, only=["1"], on_progress=events.append)
    assert "".join(event.piece for event in events if isinstance(event, SectionText)) == "It is 17 times."


async def test_chunks_do_not_stream_and_the_summary_made_of_them_does() -> None:
    events: list[ProgressEvent] = []
    engine = ScriptedEngine(context_tokens=640)
    summarizer = Summarizer(engine, DictStore())
    long = " ".join(f"Sentence {n} is about value {n} and nothing else." for n in range(200))
    await summarizer.summarize(parse(f"# A\n\n{long}\n"), OPTIONS, only=["1"], on_progress=events.append)
    assert len(engine.requests) > 2
    assert len([event for event in events if isinstance(event, SectionStarted)]) == 1
    assert len([event for event in events if isinstance(event, SectionText)]) == 12


@pytest.mark.parametrize("priority", list(Priority))
async def test_the_priority_reaches_the_engine(priority: Priority) -> None:
    engine = ScriptedEngine()
    await Summarizer(engine, DictStore()).summarize(parse(LEAF), OPTIONS, priority=priority)
    assert {request.priority for request in engine.requests} == {priority}


async def test_usage_adds_up() -> None:
    class Fixed(ScriptedEngine):
        async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
            await super().generate(request, on_text=on_text)
            return Completion(
                text="Settings are kept.", finish_reason="stop", prompt_tokens=100, new_tokens=7, seconds=9.0
            )

    result = await summarize(LEAF, Fixed())
    assert (result.usage.prompt_tokens, result.usage.new_tokens) == (200, 14)
    assert 0 < result.usage.seconds < 9  # the time it took, though two requests took nine seconds each


@pytest.mark.parametrize(("max_chars", "page_max_chars"), [(60, 120), (120, 60)])
async def test_no_summary_is_longer_than_its_limit(max_chars: int, page_max_chars: int) -> None:
    options = SummaryOptions(max_chars=max_chars, page_max_chars=page_max_chars)
    for answer in (first_words, lambda _: PROSE, lambda _: ""):
        result = await summarize(tree({"# Guide": PROSE, "## Part": PROSE}), ScriptedEngine(answer), options)
        page = result.summaries.pop(PAGE)
        assert 0 < len(page.text) <= page_max_chars
        assert [0 < len(section.text) <= max_chars for section in result.summaries.values()] == [True, True]
