"""Waiting, cancelling, closing, and what comes back to the caller."""

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from qsum_lsp.engines.protocol import EngineFailed, Message, Priority, RequestTooLong
from qsum_lsp.engines.torch import TorchEngine
from qsum_lsp.engines.torch.device_thread import READ_AT_ONCE
from qsum_lsp.engines.torch.executor import Pending
from qsum_lsp.engines.torch.source import ModelSource
from qsum_lsp.engines.torch.steps import StepKey
from qsum_lsp.engines.torch.tokenizer import ChatTokenizer
from qsum_lsp.engines.torch.warmup import WarmUp
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.models import catalogue
from tests.engines.torch.tiny import answer, options, reference, request, tokens, words

NEW = 20


def _free_pages(engine: TorchEngine) -> int:
    assert engine.device_thread.scheduler is not None
    return engine.device_thread.scheduler.free_pages


async def test_more_requests_than_slots_and_pages_wait(qwen: Path) -> None:
    prompts = [words(length, 20) for length in (100, 40, 150, 7, 90, 120, 33)]
    expected = [reference(qwen, prompt, NEW) for prompt in prompts]
    engine = TorchEngine(options(qwen, max_batch=2, context_tokens=200))
    assert await answer(engine, prompts, NEW) == expected
    await engine.aclose()


async def test_a_request_beyond_the_context_fails_alone(qwen: Path) -> None:
    engine = TorchEngine(options(qwen, context_tokens=100))
    fits = engine.generate(request(words(50, 21), NEW))
    too_long = engine.generate(request(words(90, 21), NEW))
    good, bad = await asyncio.gather(fits, too_long, return_exceptions=True)
    assert isinstance(bad, RequestTooLong)
    assert not isinstance(good, BaseException)
    assert tokens(good) == reference(qwen, words(50, 21), NEW)
    await engine.aclose()


async def test_cancelling_stops_decoding_and_frees_the_slot(qwen: Path) -> None:
    engine = TorchEngine(options(qwen, max_batch=1))
    await engine.generate(request(words(5, 22), 1))
    before = _free_pages(engine)
    begun = asyncio.Event()
    long = asyncio.create_task(engine.generate(request(words(5, 24), 400), on_text=lambda _: begun.set()))
    await begun.wait()
    long.cancel()
    with pytest.raises(asyncio.CancelledError):
        await long
    # the only slot is free again, or this would wait for 400 tokens; the pages are all back afterwards
    prompt = words(9, 24)
    assert tokens(await engine.generate(request(prompt, NEW))) == reference(qwen, prompt, NEW)
    assert _free_pages(engine) == before
    await engine.aclose()


async def test_who_waits_is_read_the_most_urgent_first_and_no_more_than_is_needed(
    qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TorchEngine(options(qwen, max_batch=2))
    await engine.generate(request(words(5, 22), 1))
    read: list[int] = []
    real = ChatTokenizer.encode_chats

    def encode(self: ChatTokenizer, chats: Sequence[Sequence[Message]]) -> list[list[int] | EngineFailed]:
        read.append(len(chats))
        return real(self, chats)

    monkeypatch.setattr(ChatTokenizer, "encode_chats", encode)
    many = [asyncio.create_task(engine.generate(request(words(9, n), NEW))) for n in range(200)]
    await asyncio.sleep(0)
    urgent = replace(request(words(9, 500), NEW), priority=Priority.HOVER)
    assert tokens(await engine.generate(urgent)) == reference(qwen, words(9, 500), NEW)
    assert sum(read) < 100
    assert max(read) <= READ_AT_ONCE
    assert engine.status().waiting > 100
    for task in many[50:]:
        task.cancel()
    done = await asyncio.gather(*many, return_exceptions=True)
    assert [tokens(answer) for answer in done[:50] if not isinstance(answer, BaseException)] == [
        reference(qwen, words(9, n), NEW) for n in range(50)
    ]
    assert engine.status().waiting == 0
    await engine.aclose()


@pytest.mark.parametrize("seconds", [0.0, 0.05], ids=["at once", "a little later"])
async def test_closing_fails_who_was_not_read_yet(qwen: Path, seconds: float) -> None:
    engine = TorchEngine(options(qwen, max_batch=1))
    await engine.generate(request(words(5, 22), 1))
    many = [asyncio.create_task(engine.generate(request(words(9, n), 200))) for n in range(100)]
    await asyncio.sleep(seconds)
    await engine.aclose()
    done = await asyncio.gather(*many, return_exceptions=True)
    assert sum(isinstance(failure, EngineFailed) for failure in done) > 90


async def test_collecting_garbage_spares_what_stays_and_finds_a_closed_engine(qwen: Path) -> None:
    engine = TorchEngine(options(qwen))
    await engine.load()
    assert gc.get_freeze_count() > 10_000
    assert engine.device_thread.runner is not None
    model = weakref.ref(engine.device_thread.runner.model)
    engine.device_thread.runner.itself = engine.device_thread.runner  # type: ignore[attr-defined] — what refers to itself
    await engine.aclose()
    assert gc.get_freeze_count() == 0
    assert model() is None


@pytest.mark.parametrize(("failures", "ready"), [(0, True), (1, True), (2, False)])
def test_a_step_that_does_not_compile_gets_a_second_chance(failures: int, ready: bool) -> None:
    tried: list[StepKey] = []

    def rehearse(key: StepKey) -> None:
        tried.append(key)
        if len(tried) <= failures:
            raise RuntimeError(f"backend='inductor' raised:\nno compiler, {len(tried)}\nand much more")

    warm_up = WarmUp(rehearse, torch.device("cpu"), prefill=None)
    key = StepKey(1, 1, 512, optimised=True)
    warm_up.ask(key)
    warm_up.begin()
    while warm_up.pending:
        time.sleep(0.01)
    warm_up.close()
    assert warm_up.ready(key) is ready
    assert warm_up.pending == 0
    assert warm_up.failure == (None if ready else "RuntimeError: backend='inductor' raised: no compiler, 2")
    assert len(tried) == min(failures + 1, 2)


def test_closing_waits_for_no_more_than_the_step_under_way() -> None:
    begun, go_on = threading.Event(), threading.Event()
    tried: list[StepKey] = []

    def rehearse(key: StepKey) -> None:
        tried.append(key)
        begun.set()
        go_on.wait()

    warm_up = WarmUp(rehearse, torch.device("cpu"), prefill=None)
    for rows in (1, 2, 4):
        warm_up.ask(StepKey(rows, 1, 512, optimised=True))
    warm_up.begin()
    begun.wait()
    closing = threading.Thread(target=warm_up.close)
    closing.start()
    while not warm_up._closing:
        time.sleep(0.01)
    go_on.set()
    closing.join()
    assert [key.rows for key in tried] == [1]


async def test_memory_is_where_it_was_after_a_thousand_cancelled_requests(qwen: Path) -> None:
    engine = TorchEngine(options(qwen))
    await engine.generate(request(words(5, 25), 1))
    before = _free_pages(engine)
    for round_ in range(100):
        tasks = [asyncio.create_task(engine.generate(request(words(20 + n, round_), 100))) for n in range(10)]
        await asyncio.sleep(0.002 * (round_ % 3))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    prompt = words(30, 26)
    assert tokens(await engine.generate(request(prompt, NEW))) == reference(qwen, prompt, NEW)
    assert _free_pages(engine) == before
    await engine.aclose()


async def test_text_comes_in_pieces_that_make_the_answer(qwen: Path) -> None:
    engine = TorchEngine(options(qwen))
    pieces: list[str] = []
    completion = await engine.generate(request(words(12, 30), NEW), on_text=pieces.append)
    assert "".join(pieces) == completion.text
    assert len(pieces) > 1
    assert (completion.prompt_tokens, completion.new_tokens) == (12, NEW)
    await engine.aclose()


async def test_status_and_identity(qwen: Path) -> None:
    engine = TorchEngine(options(qwen))
    assert engine.status().state == "unloaded"
    assert engine.identity.context_tokens == 512
    nf4 = TorchEngine(options(qwen, quantization="nf4")).identity
    assert nf4.fingerprint != engine.identity.fingerprint
    assert await engine.count_tokens(["w1 w2 w3", ""]) == [3, 0]
    status = engine.status()
    assert status.state == "ready"
    assert status.slots == engine.options.max_batch
    assert "sdpa" in status.detail
    await engine.aclose()
    with pytest.raises(EngineUnavailable):
        await engine.generate(request([1], 1))


async def test_closing_fails_what_is_under_way(qwen: Path) -> None:
    engine = TorchEngine(options(qwen))
    begun = asyncio.Event()
    task = asyncio.create_task(engine.generate(request(words(5, 31), 400), on_text=lambda _: begun.set()))
    await begun.wait()
    await engine.aclose()
    with pytest.raises(EngineFailed):
        await task


@pytest.mark.parametrize("settings", [{"device": "cuda"}, {"attention": "flash_attention_2"}])
async def test_what_is_not_there_is_said(qwen: Path, settings: dict[str, str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    engine = TorchEngine(options(qwen, **settings))
    with pytest.raises(EngineUnavailable, match=next(iter(settings))):
        await engine.load()
    assert engine.status().state == "failed"


async def test_too_little_memory_is_said(qwen: Path) -> None:
    engine = TorchEngine(options(qwen, memory_mib=1))
    with pytest.raises(EngineUnavailable, match="memory_mib"):
        await engine.load()


def test_models_that_are_not_here(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="qsum models list"):
        ModelSource.find("no-such-alias")
    with pytest.raises(EngineUnavailable, match="qsum models pull"):
        ModelSource.find(catalogue()[0].alias)
    source = ModelSource.find("nobody/nothing")
    with pytest.raises(EngineUnavailable, match="QSUM_OFFLINE"):
        source.fetch()


async def test_tokens_land_in_order_when_the_device_is_slow(
    qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pending, "ready", lambda _: False)
    prompts = [words(length, 32) for length in (30, 12, 70, 5)]
    engine = TorchEngine(options(qwen, prefill_tokens=32))
    assert await answer(engine, prompts, NEW) == [reference(qwen, prompt, NEW) for prompt in prompts]
    await engine.aclose()


FIRST_ANSWER = """
import asyncio, sys
from qsum_lsp.engines.protocol import GenerationRequest, Message
from qsum_lsp.engines.torch import TorchEngine, TorchOptions

async def main():
    engine = TorchEngine(TorchOptions(model=sys.argv[1], device="cpu", memory_mib=200))
    done = await engine.generate(
        GenerationRequest(messages=(Message("user", "w1 w2 w3"),), source="", max_new_tokens=4)
    )
    await engine.aclose()
    print(done.new_tokens, [name for name in ("torch._dynamo", "transformers", "triton") if name in sys.modules])

asyncio.run(main())
"""


def test_the_first_answer_waits_for_no_compiler(qwen: Path) -> None:
    command = [sys.executable, "-c", FIRST_ANSWER, str(qwen)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    count, _, imported = run.stdout.strip().partition(" ")
    assert 1 <= int(count) <= 4
    assert imported == "[]"
