"""Many callers at once, and callers that give up."""

import asyncio
import random

import pytest

from qsum_lsp.document import parse
from qsum_lsp.engines.protocol import Priority
from qsum_lsp.summaries import PAGE, SectionText, Summarizer, SummaryOptions
from tests.scripted_engine import ScriptedEngine
from tests.summaries.support import PROSE, DictStore, texts, tree

OPTIONS = SummaryOptions()
TEXT = tree({"# Guide": PROSE, "## Install": f"Install. {PROSE}", "## Use": f"Use. {PROSE}"})


async def until(condition) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_the_same_document_twice_at_once_is_done_once() -> None:
    engine = ScriptedEngine(seconds_per_word=0.001)
    summarizer = Summarizer(engine, DictStore())
    one, two = await asyncio.gather(
        summarizer.summarize(parse(TEXT), OPTIONS), summarizer.summarize(parse(TEXT), OPTIONS)
    )
    assert texts(one) == texts(two)
    assert len(engine.requests) == 4
    assert one.usage.new_tokens > 0
    assert two.usage.new_tokens == 0


async def test_a_caller_that_gives_up_does_not_stop_the_others() -> None:
    engine = ScriptedEngine()
    engine.gate = asyncio.Event()
    summarizer = Summarizer(engine, DictStore())
    first = asyncio.create_task(summarizer.summarize(parse(TEXT), OPTIONS))
    second = asyncio.create_task(summarizer.summarize(parse(TEXT), OPTIONS))
    await until(lambda: engine.running == 4)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert engine.running == 4
    engine.gate.set()
    assert set((await second).summaries) == {"1", "1.1", "1.2", PAGE}
    assert engine.cancelled == []


async def test_the_last_caller_to_give_up_stops_the_engine_at_once() -> None:
    engine = ScriptedEngine()
    engine.gate = asyncio.Event()
    summarizer = Summarizer(engine, DictStore())
    tasks = [asyncio.create_task(summarizer.summarize(parse(TEXT), OPTIONS)) for _ in range(2)]
    await until(lambda: engine.running == 4)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert engine.running == 0
    assert len(engine.cancelled) == 4
    engine.gate.set()
    assert len((await summarizer.summarize(parse(TEXT), OPTIONS)).summaries) == 4


async def test_cancelling_keeps_what_is_finished() -> None:
    engine = ScriptedEngine()
    store = DictStore()
    summarizer = Summarizer(engine, store)
    await summarizer.summarize(parse(TEXT), OPTIONS, only=["1.1"])
    engine.gate = asyncio.Event()
    rest = asyncio.create_task(summarizer.summarize(parse(TEXT), OPTIONS, only=["1.2"]))
    await until(lambda: engine.running == 1)
    engine.gate.set()
    await until(lambda: engine.running == 0)
    rest.cancel()
    await asyncio.wait([rest])
    assert set(Summarizer(engine, store).lookup(parse(TEXT), OPTIONS).summaries) == {"1.1", "1.2"}


async def test_a_late_listener_hears_the_beginning_too() -> None:
    engine = ScriptedEngine(seconds_per_word=0.002)
    summarizer = Summarizer(engine, DictStore())
    heard: dict[str, str] = {"early": "", "late": ""}

    def listen(name: str):  # type: ignore[no-untyped-def]
        def on_progress(event: object) -> None:
            if isinstance(event, SectionText):
                heard[name] += event.piece

        return on_progress

    early = asyncio.create_task(
        summarizer.summarize(parse(TEXT), OPTIONS, only=["1.1"], on_progress=listen("early"))
    )
    await until(lambda: len(heard["early"].split()) >= 3)
    await summarizer.summarize(parse(TEXT), OPTIONS, only=["1.1"], on_progress=listen("late"))
    await early
    assert heard["late"] == heard["early"] != ""
    assert len(engine.requests) == 1


async def test_who_gave_up_hears_nothing_more() -> None:
    engine = ScriptedEngine()
    engine.gate = asyncio.Event()
    summarizer = Summarizer(engine, DictStore())
    heard: list[object] = []
    gone = asyncio.create_task(
        summarizer.summarize(parse(TEXT), OPTIONS, only=["1.1"], on_progress=heard.append)
    )
    stays = asyncio.create_task(summarizer.summarize(parse(TEXT), OPTIONS, only=["1.1"]))
    await until(lambda: engine.running == 1)
    gone.cancel()
    await asyncio.wait([gone])
    before = len(heard)
    engine.gate.set()
    await stays
    assert len(heard) == before == 1


async def test_a_hover_makes_a_waiting_request_urgent() -> None:
    engine = ScriptedEngine()
    engine.gate = asyncio.Event()
    summarizer = Summarizer(engine, DictStore())
    batch = asyncio.create_task(summarizer.summarize(parse(TEXT), OPTIONS))
    await until(lambda: engine.running == 4)
    hover = asyncio.create_task(
        summarizer.summarize(parse(TEXT), OPTIONS, only=["1.1"], priority=Priority.HOVER)
    )
    await until(lambda: len(engine.requests) == 5 and engine.running == 4)
    assert engine.requests[-1].priority is Priority.HOVER
    assert len(engine.cancelled) == 1
    engine.gate.set()
    assert (await hover).summaries["1.1"].text == (await batch).summaries["1.1"].text
    assert len(engine.requests) == 5


async def test_a_less_urgent_caller_changes_nothing() -> None:
    engine = ScriptedEngine()
    engine.gate = asyncio.Event()
    summarizer = Summarizer(engine, DictStore())
    tasks = [
        asyncio.create_task(summarizer.summarize(parse(TEXT), OPTIONS, only=["1.1"], priority=priority))
        for priority in (Priority.HOVER, Priority.BATCH)
    ]
    await until(lambda: engine.running == 1)
    engine.gate.set()
    await asyncio.gather(*tasks)
    assert [request.priority for request in engine.requests] == [Priority.HOVER]


async def test_a_thousand_cancellations_leave_nothing_running() -> None:
    engine = ScriptedEngine(seconds_per_word=0.0)
    store = DictStore()
    summarizer = Summarizer(engine, store)
    chance = random.Random(7)  # noqa: S311
    before = asyncio.all_tasks()
    pages = [parse(tree({f"## {n} {m}": f"{n} {m}. {PROSE}" for m in range(6)})) for n in range(5)]
    for number in range(1000):
        task = asyncio.create_task(
            summarizer.summarize(
                pages[number % 5],
                OPTIONS,
                priority=chance.choice(list(Priority)),
                on_progress=lambda event: None,
            )
        )
        for _ in range(chance.randrange(20)):
            await asyncio.sleep(0)
        task.cancel()
        if chance.random() < 0.5:
            await asyncio.wait([task])
        if number % 50 == 0:
            store.values.clear()
    await until(lambda: not asyncio.all_tasks() - before)
    assert engine.running == 0
    assert len(engine.cancelled) > 100
    store.values.clear()
    assert len((await summarizer.summarize(pages[0], OPTIONS)).summaries) == 7
