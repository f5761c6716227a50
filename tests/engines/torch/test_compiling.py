"""torch.compile on one thread while another decodes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.fx import _symbolic_trace

from qsum_lsp.engines.torch import TorchEngine
from qsum_lsp.engines.torch import steps as steps_module
from qsum_lsp.engines.torch.runner import Runner
from tests.engines.torch.tiny import options, reference, request, tokens, words

NEW = 6


class Record:
    """Stands in for a CUDA graph."""

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
        return Record()

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
