"""What fails on the device, in the tokenizer or in the text, and who hears of it."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers.models.gemma.modeling_gemma import GemmaMLP

from qsum_lsp.engines.protocol import EngineFailed, Message, Priority
from qsum_lsp.engines.torch import TorchEngine
from qsum_lsp.engines.torch.foreign import TransformersRunner
from qsum_lsp.engines.torch.runner import Runner
from qsum_lsp.engines.torch.scheduler import Scheduler
from qsum_lsp.engines.torch.tokenizer import AnswerText, ChatTokenizer
from qsum_lsp.errors import EngineUnavailable
from tests.engines.torch.tiny import TEMPLATE, answer, options, reference, request, save_model, tokens, words

NEW = 20


def _fail_once_above(limit: int, real: Callable[..., object]) -> Callable[..., object]:
    def wrapper(self: Runner, items: list[object], **keywords: object) -> object:
        size = sum(p.end - p.start for p in items) if hasattr(items[0], "end") else len(items)  # type: ignore[attr-defined]
        if size > limit:
            raise torch.OutOfMemoryError("no room")
        return real(self, items, **keywords)

    return wrapper


@pytest.mark.parametrize(
    ("work", "limit", "lengths"),
    [("step", 2, (10, 30, 20, 25, 5)), ("prefill", 256, (300, 200, 120))],
    ids=["step", "prefill"],
)
async def test_out_of_memory_shrinks_what_is_computed_at_once(
    qwen: Path, monkeypatch: pytest.MonkeyPatch, work: str, limit: int, lengths: tuple[int, ...]
) -> None:
    monkeypatch.setattr(Runner, work, _fail_once_above(limit, getattr(Runner, work)))
    prompts = [words(length, 27) for length in lengths]
    engine = TorchEngine(options(qwen))
    assert await answer(engine, prompts, NEW) == [reference(qwen, prompt, NEW) for prompt in prompts]
    await engine.aclose()


async def test_a_prompt_that_cannot_be_prefilled_fails_alone(
    qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Runner, "prefill", _fail_once_above(60, Runner.prefill))
    engine = TorchEngine(options(qwen))
    with pytest.raises(EngineFailed, match="Out of memory"):
        await engine.generate(request(words(100, 29), NEW))
    prompt = words(10, 29)
    assert tokens(await engine.generate(request(prompt, NEW))) == reference(qwen, prompt, NEW)
    await engine.aclose()


async def test_out_of_memory_within_a_step_loses_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_model(tmp_path / "gemma", "gemma")
    calls = 0
    real = TransformersRunner._forward

    def forward(self: TransformersRunner, slot: int, fed: list[int], **keywords: list[int]) -> int:
        nonlocal calls
        calls += 1
        if calls == 4 + 4 + 3:  # the third row of the second step after four prefills
            raise torch.OutOfMemoryError("no room")
        return real(self, slot, fed, **keywords)

    monkeypatch.setattr(TransformersRunner, "_forward", forward)
    prompts = [words(length, 33) for length in (9, 12, 7, 15)]
    engine = TorchEngine(options(folder))
    assert await answer(engine, prompts, NEW) == [reference(folder, prompt, NEW) for prompt in prompts]
    await engine.aclose()


@pytest.mark.parametrize(
    "passes",
    [6, 8, 11, 12, 14, 22],
    ids=lambda passes: f"layer pass {passes}",
)
async def test_out_of_memory_between_two_layers_changes_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passes: int
) -> None:
    # two layers: 1-4 read the first prompt and the second's beginning, 5-10 its end and the others, then all are decoded
    folder = save_model(tmp_path / "gemma", "gemma")
    prompts = [words(length, 36) for length in (9, 400, 7, 15)]
    expected = [reference(folder, prompt, NEW) for prompt in prompts]
    engine = TorchEngine(options(folder, prefill_tokens=300))
    await engine.load()
    real, calls = GemmaMLP.forward, 0

    def forward(self: GemmaMLP, x: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == passes:
            raise torch.OutOfMemoryError("no room")
        return real(self, x)

    monkeypatch.setattr(GemmaMLP, "forward", forward)
    assert await answer(engine, prompts, NEW) == expected
    assert calls > passes
    await engine.aclose()


@pytest.mark.parametrize("text", ["w1 refused", "w1 \ud800"], ids=["template", "half a character"])
async def test_a_text_that_cannot_be_read_fails_alone(qwen: Path, tmp_path: Path, text: str) -> None:
    folder = shutil.copytree(qwen, tmp_path / "model")
    refuses = "{% if 'refused' in messages[0].content %}{{ messages[0].content + 1 }}{% endif %}"
    (folder / "chat_template.jinja").write_text(refuses + TEMPLATE, "utf-8")
    engine = TorchEngine(options(folder))
    unreadable = replace(request([1], NEW), messages=(Message("user", text),))
    good = [request(words(length, 34), NEW) for length in (5, 9)]
    first, failure, second = await asyncio.gather(
        engine.generate(good[0]),
        engine.generate(unreadable),
        engine.generate(good[1]),
        return_exceptions=True,
    )
    assert isinstance(failure, EngineFailed)
    assert [tokens(done) for done in (first, second) if not isinstance(done, BaseException)] == [
        reference(qwen, words(length, 34), NEW) for length in (5, 9)
    ]
    await engine.aclose()


@pytest.mark.parametrize(
    ("where", "method"),
    [(ChatTokenizer, "encode_chats"), (ChatTokenizer, "answer_text"), (AnswerText, "add")],
)
async def test_whatever_fails_nobody_waits_for_ever(
    qwen: Path, monkeypatch: pytest.MonkeyPatch, where: type, method: str
) -> None:
    engine = TorchEngine(options(qwen, max_batch=2))
    await engine.load()

    def fail(*_: object) -> None:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(where, method, fail)
    asked = [engine.generate(request(words(6, n), NEW)) for n in range(40)]
    failures = await asyncio.gather(*asked, return_exceptions=True)
    assert {str(failure) for failure in failures if isinstance(failure, EngineFailed)} == {
        "nobody thought of this"
    }
    assert len(failures) == 40
    assert engine.status().state == "failed"
    with pytest.raises(EngineUnavailable, match="nobody thought of this"):
        await engine.generate(request(words(6, 1), NEW))
    await engine.aclose()


async def test_an_urgent_request_is_read_however_many_wait(
    qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TorchEngine(options(qwen))
    await engine.load()
    monkeypatch.setattr(Scheduler, "waiting", property(lambda _: 1000))
    batch = asyncio.create_task(engine.generate(request(words(5, 35), NEW)))
    urgent = replace(request(words(9, 35), NEW), priority=Priority.HOVER)
    assert tokens(await engine.generate(urgent)) == reference(qwen, words(9, 35), NEW)
    monkeypatch.undo()
    assert tokens(await batch) == reference(qwen, words(5, 35), NEW)
    await engine.aclose()
