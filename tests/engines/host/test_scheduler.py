"""The queue: priority, fairness between clients, bounds, and an engine that gives way to a smaller one."""

import asyncio
from collections.abc import Callable

import pytest

from qsum_lsp.engines.host.scheduler import QueueFull, Scheduler, Stopping
from qsum_lsp.engines.protocol import Completion, Engine, GenerationRequest, Message, Priority
from qsum_lsp.engines.smaller import SmallerWhereNeeded
from qsum_lsp.errors import EngineUnavailable, OutOfDeviceMemory, UsageError
from tests.scripted_engine import ScriptedEngine


def ask(source: str, priority: Priority = Priority.BATCH) -> GenerationRequest:
    return GenerationRequest(
        messages=(Message("user", source),), source=source, max_new_tokens=8, priority=priority
    )


def silent(_: str) -> None:
    pass


class Run:
    """A scheduler over a scripted engine; ``order`` is that of the answers."""

    def __init__(self, *, slots: int = 2, most_waiting: int = 5000, per_client: int = 5000) -> None:
        self.engine = ScriptedEngine(seconds_per_word=0.002)
        self.scheduler = Scheduler(self.engine, most_waiting=most_waiting, most_waiting_per_client=per_client)
        self.scheduler.open(slots)
        self.order: list[str] = []

    def ask(
        self, client: str, source: str, priority: Priority = Priority.BATCH
    ) -> "asyncio.Task[Completion]":
        return asyncio.create_task(self._one(client, source, priority))

    async def _one(self, client: str, source: str, priority: Priority) -> Completion:
        completion = await self.scheduler.run(ask(source, priority), client=client, on_text=silent)
        self.order.append(source)
        return completion


async def test_small_clients_are_not_behind_a_large_one() -> None:
    run = Run()
    large = [run.ask("large", f"large {number}") for number in range(500)]
    await asyncio.sleep(0.02)
    small = [run.ask(f"small {index}", f"s{index} {number}") for index in range(3) for number in range(10)]
    await asyncio.gather(*small)
    done_by_large = sum(source.startswith("large") for source in run.order)
    assert done_by_large < 10 + 30  # what was ahead of them, and every fourth turn after that
    await asyncio.gather(*large)
    assert sorted(run.order) == sorted({*run.order})
    assert len(run.order) == 530


async def test_a_hover_is_not_behind_a_500_page_run() -> None:
    run = Run(slots=2)
    pages = [run.ask("batch", f"page {number}") for number in range(500)]
    await asyncio.sleep(0.05)
    before = len(run.order)
    await run.ask("editor", "hover", Priority.HOVER)
    assert len(run.order) - before <= 5  # those that ran already
    for task in pages:
        task.cancel()
    await asyncio.gather(*pages, return_exceptions=True)
    assert run.scheduler.running == run.scheduler.waiting == 0


async def test_no_more_than_the_places_run() -> None:
    run = Run(slots=8)
    await asyncio.gather(*(run.ask(f"client {number % 7}", f"{number}") for number in range(200)))
    assert run.engine.most_running == 10


async def test_both_bounds_refuse_and_recover() -> None:
    run = Run(slots=1, most_waiting=10, per_client=6)
    run.engine.gate = asyncio.Event()
    held = [run.ask("one", f"{number}") for number in range(9)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull) as full:
        await run.ask("one", "too many")
    assert 1 <= full.value.retry_after <= 30
    held += [run.ask("two", f"{number}") for number in range(4)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        await run.ask("three", "too many in all")
    run.engine.gate.set()
    await asyncio.gather(*held)
    assert (await run.ask("one", "fits again")).text == "fits again."


async def test_requests_wait_for_the_load_and_get_its_error() -> None:
    engine = ScriptedEngine()
    scheduler = Scheduler(engine, most_waiting=10, most_waiting_per_client=10)
    tasks = [asyncio.create_task(scheduler.run(ask("x"), client="c", on_text=silent)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert engine.requests == []
    scheduler.fail(EngineUnavailable("no model"))
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(result) for result in results] == ["no model"] * 3
    assert len({id(result) for result in results}) == 3
    with pytest.raises(EngineUnavailable):
        await scheduler.run(ask("x"), client="c", on_text=silent)


@pytest.mark.parametrize("patient", [True, False])
async def test_stopping_finishes_or_hands_back(patient: bool) -> None:
    run = Run(slots=1)
    run.engine.gate = asyncio.Event()
    tasks = [run.ask("c", f"{number}") for number in range(6)]
    await asyncio.sleep(0.01)
    if patient:
        asyncio.get_running_loop().call_later(0.05, run.engine.gate.set)
    await run.scheduler.stop(5 if patient else 0.05)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    handed_back = sum(isinstance(result, Stopping) for result in results)
    assert handed_back == (3 if patient else 6)
    assert len(run.engine.cancelled) == (0 if patient else 3)


class _NoMemory(ScriptedEngine):
    async def generate(self, request: GenerationRequest, *, on_text: object = None) -> Completion:
        await asyncio.sleep(0.01)
        raise OutOfDeviceMemory("needs 3000 MiB and 2000 MiB may be used")


async def test_the_next_smaller_engine_takes_over_with_one_message(caplog: pytest.LogCaptureFixture) -> None:
    made: list[ScriptedEngine] = []

    def way(kind: Callable[..., ScriptedEngine], fingerprint: str) -> Callable[[], Engine]:
        def make() -> Engine:
            made.append(kind(fingerprint=fingerprint))
            return made[-1]

        return make

    engine = SmallerWhereNeeded(
        [("bf16", way(_NoMemory, "a")), ("nf4", way(_NoMemory, "b")), ("llama", way(ScriptedEngine, "c"))]
    )
    assert engine.identity.fingerprint == "a"
    answers = await asyncio.gather(*(engine.generate(ask(f"text {number}")) for number in range(5)))
    assert [answer.text for answer in answers] == [f"text {number}." for number in range(5)]
    assert engine.identity.fingerprint == "c"
    assert [each.closed for each in made] == [True, True, False]
    assert "nf4 does not fit" in engine.status().detail
    assert "llama runs instead" in engine.status().detail
    assert len(caplog.records) == 2


async def test_nothing_smaller_is_unavailable() -> None:
    engine = SmallerWhereNeeded([("bf16", _NoMemory)])
    with pytest.raises(EngineUnavailable, match="2000 MiB"):
        await engine.generate(ask("x"))


async def test_why_no_smaller_engine_can_run_is_told_beside_what_does_not_fit() -> None:
    def refuse() -> Engine:
        raise UsageError("model: 'org/name' is no GGUF file.")

    engine = SmallerWhereNeeded([("bf16", _NoMemory), ("llama", refuse)])
    for _ in range(2):
        with pytest.raises(EngineUnavailable, match=r"2000 MiB.* llama cannot run instead: .*no GGUF file"):
            await engine.generate(ask("x"))
    fits = SmallerWhereNeeded([("bf16", _NoMemory), ("nf4", refuse), ("llama", ScriptedEngine)])
    assert (await fits.generate(ask("x"))).text == "x."
