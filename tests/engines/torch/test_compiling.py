"""torch.compile on one thread while another decodes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.fx import _symbolic_trace

from qsum_lsp.engines.protocol import Priority
from qsum_lsp.engines.torch import TorchEngine
from qsum_lsp.engines.torch import steps as steps_module
from qsum_lsp.engines.torch.loading import load
from qsum_lsp.engines.torch.runner import Runner
from qsum_lsp.engines.torch.scheduler import Scheduler
from qsum_lsp.engines.torch.sequence import RunningSequence
from qsum_lsp.engines.torch.source import ModelSource
from tests.engines.torch.tiny import options, reference, request, tokens, words

NEW = 6


class Record:
    """Stands in for a CUDA graph."""

    def __init__(self, launch: Callable[[], None]) -> None:
        self.replay = launch

    def pool(self) -> tuple[int, int]:
        return 0, 1


async def _compiled(folder: Path, **settings: object) -> tuple[TorchEngine, Runner]:
    engine = TorchEngine(options(folder, max_batch=1, **settings))
    await engine.generate(request(words(9, 1), NEW))
    executor = engine.device_thread.runner
    assert executor is not None
    while executor.warm_up.pending:  # noqa: ASYNC110 - another thread counts it down
        await asyncio.sleep(0.05)
    assert executor.warm_up.failure is None
    return engine, executor


async def test_what_is_compiled_can_be_called_while_a_thread_compiles(
    qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, executor = await _compiled(qwen, compile="default")
    assert executor.warm_up.ready_keys()
    monkeypatch.setattr(_symbolic_trace, "_is_fx_tracing_flag", True)  # as if a thread were tracing just now
    prompt = words(12, 2)
    assert tokens(await engine.generate(request(prompt, NEW))) == reference(qwen, prompt, NEW)
    monkeypatch.undo()
    assert engine.status().state == "ready"
    await engine.aclose()


async def test_nothing_is_recorded_while_a_thread_compiles(
    qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded: list[int] = []

    def record(launch: Callable[[], None], _pool: object, _stream: object) -> Record:
        launch()
        recorded.append(1)
        return Record(launch)

    monkeypatch.setattr(steps_module, "record", record)
    engine, executor = await _compiled(qwen, compile="reduce-overhead")
    key, library = executor.warm_up.ready_keys()[0], executor.steps
    library.captures = True  # as on a GPU
    with torch.inference_mode():
        with library._compiling:
            assert not library.capture(key)
            assert not executor.capture_next()
        assert not recorded
        assert library.capture(key)
        assert library.capture(key)
    assert len(recorded) == 1
    library.captures = False
    await engine.aclose()


class Ready:
    """A runner with one compiled step, as on a GPU, and a scheduler with one request."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch, "compile", lambda step, **_: step)
        chosen = options(folder, compile="reduce-overhead")
        loaded = load(chosen, ModelSource.find(chosen.model), 512)
        assert isinstance(loaded.executor, Runner)
        self.executor = loaded.executor
        key = self.executor.steps.key(1, 1, 64, optimised=True)
        self.executor.warm_up.ask(key)
        self.executor.warm_up._compile(key)
        self.executor.steps.captures = True
        self.scheduler = Scheduler(
            self.executor, stops=loaded.stops, max_batch=8, prefill_tokens=512, speculative_batch=2
        )
        self.prompt = words(12, 3)
        self.sequence = RunningSequence(
            prompt=self.prompt,
            limit=len(self.prompt) + NEW,
            priority=Priority.BATCH,
            on_tokens=lambda _: None,
            on_finish=lambda _: None,
            on_failure=lambda error: pytest.fail(str(error)),
        )
        self.scheduler.submit(self.sequence)

    def turn(self) -> None:
        if not self.scheduler.launch():
            self.scheduler.land()


def test_a_step_that_is_recorded_in_the_middle_of_an_answer_goes_on_with_it(
    qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps_module, "record", lambda launch, _pool, _stream: Record(launch))
    ready = Ready(qwen, monkeypatch)
    with ready.executor.steps._compiling:  # another size is being compiled
        while ready.sequence.landed < NEW // 2:
            ready.turn()
    assert not ready.executor.steps._graphs
    for _ in range(4 * NEW):
        ready.turn()
    assert ready.executor.steps._graphs
    assert ready.sequence.answer == reference(qwen, ready.prompt, NEW)


def test_a_step_that_cannot_be_recorded_runs_as_it_is(qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def record(*_: object) -> Record:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(steps_module, "record", record)
    ready = Ready(qwen, monkeypatch)
    while not ready.scheduler.idle:
        ready.turn()
    assert ready.sequence.answer == reference(qwen, ready.prompt, NEW)
    assert "not permitted" in (ready.executor.warm_up.failure or "")
