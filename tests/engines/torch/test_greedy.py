"""The engine's tokens are those of transformers' greedy generate, whatever goes on around a request."""

import asyncio
import json
import shutil
import warnings
from pathlib import Path

import pytest

from qsum_lsp.engines.protocol import Priority
from qsum_lsp.engines.torch import TorchEngine
from qsum_lsp.engines.torch.loading import load
from qsum_lsp.engines.torch.scheduler import Scheduler
from qsum_lsp.engines.torch.sequence import RunningSequence
from qsum_lsp.engines.torch.source import ModelSource
from qsum_lsp.errors import UsageError
from tests.engines.torch.tiny import answer, options, reference, request, save_model, tokens, words

NEW = 24


async def _answers(engine: TorchEngine, prompts: list[list[int]], new_tokens: int = NEW) -> list[list[int]]:
    try:
        return await answer(engine, prompts, new_tokens)
    finally:
        await engine.aclose()


@pytest.mark.parametrize("length", [1, 15, 16, 17, 100])
async def test_one_request(folder: Path, length: int) -> None:
    prompt = words(length, 1)
    assert await _answers(TorchEngine(options(folder)), [prompt]) == [reference(folder, prompt, NEW)]


async def test_ragged_batch(folder: Path) -> None:
    prompts = [words(length, 2) for length in (3, 90, 16, 47, 1)]
    expected = [reference(folder, prompt, NEW) for prompt in prompts]
    assert await _answers(TorchEngine(options(folder)), prompts) == expected


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
async def test_attention_settings(qwen: Path, attention: str) -> None:
    prompts = [words(length, 3) for length in (5, 40)]
    expected = [reference(qwen, prompt, NEW) for prompt in prompts]
    assert await _answers(TorchEngine(options(qwen, attention=attention)), prompts) == expected


async def test_late_joiner(folder: Path) -> None:
    early, late = words(30, 4), words(21, 5)
    engine = TorchEngine(options(folder))
    started = asyncio.Event()
    first = asyncio.create_task(engine.generate(request(early, 60), on_text=lambda _: started.set()))
    await started.wait()
    second = await engine.generate(request(late, NEW, Priority.HOVER))
    assert tokens(second) == reference(folder, late, NEW)
    assert tokens(await first) == reference(folder, early, 60)
    await engine.aclose()


async def test_reused_beginning(folder: Path) -> None:
    common = words(50, 6)
    prompts = [common + words(length, 7) for length in (1, 20, 33)]
    engine = TorchEngine(options(folder))
    before = [tokens(await engine.generate(request(prompt, NEW))) for prompt in prompts]
    together = await _answers(engine, prompts)
    expected = [reference(folder, prompt, NEW) for prompt in prompts]
    assert before == expected
    assert together == expected


async def test_chunked_prefill(folder: Path) -> None:
    prompts = [words(length, 8) for length in (130, 70, 9)]
    expected = [reference(folder, prompt, NEW) for prompt in prompts]
    assert await _answers(TorchEngine(options(folder, prefill_tokens=32)), prompts) == expected


@pytest.mark.parametrize("rows", [1, 4])
async def test_prompt_lookup(folder: Path, rows: int) -> None:
    prompts = [words(12, seed) * 5 for seed in range(rows)]
    expected = [reference(folder, prompt, 60) for prompt in prompts]
    engine = TorchEngine(options(folder, speculation="prompt-lookup", speculative_batch=4))
    assert await _answers(engine, prompts, 60) == expected


async def test_draft_model(folder: Path, tmp_path: Path) -> None:
    draft = save_model(tmp_path / "draft", "qwen2", seed=1)
    prompts = [words(length, 9) for length in (20, 45)]
    expected = [reference(folder, prompt, 40) for prompt in prompts]
    for model in (draft, folder):  # a draft model that is nearly always wrong, and one that is always right
        engine = TorchEngine(options(folder, speculation="draft", draft_model=str(model)))
        assert await _answers(engine, prompts, 40) == expected


@pytest.mark.parametrize("other", ["ids", "size"])
async def test_a_draft_model_of_another_vocabulary_is_refused(qwen: Path, tmp_path: Path, other: str) -> None:
    draft = shutil.copytree(qwen, tmp_path / "draft")
    file = draft / "tokenizer.json"
    tokenizer = json.loads(file.read_text("utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    size = len(vocabulary)
    tokenizer["model"]["vocab"] = (
        {word: size - 1 - number for word, number in vocabulary.items()}
        if other == "ids"
        else {word: number for word, number in vocabulary.items() if number < size * 2 // 3}
    )
    tokenizer["added_tokens"] = []
    file.write_text(json.dumps(tokenizer), "utf-8")
    engine = TorchEngine(options(qwen, speculation="draft", draft_model=str(draft)))
    with pytest.raises(UsageError, match="has another vocabulary"):
        await engine.load()
    await engine.aclose()


def _sequence(prompt: list[int], new_tokens: int) -> RunningSequence:
    return RunningSequence(
        prompt=prompt,
        limit=len(prompt) + new_tokens,
        priority=Priority.BATCH,
        on_tokens=lambda _: None,
        on_finish=lambda _: None,
        on_failure=lambda error: pytest.fail(str(error)),
    )


def test_a_step_without_drafts_sees_all_that_the_one_before_may_have_added(qwen: Path) -> None:
    chosen = options(qwen, speculation="draft", draft_model=str(qwen))  # all drafts are right
    loaded = load(chosen, ModelSource.find(chosen.model), 512)
    for length in (
        52,
        53,
    ):  # after nine tokens of answer, nearly as long as the smallest plain step is made for
        scheduler = Scheduler(
            loaded.executor, stops=loaded.stops, max_batch=8, prefill_tokens=512, speculative_batch=2
        )
        first, late = _sequence(words(length, 12), 40), [_sequence(words(6, n), 4) for n in (1, 2)]
        scheduler.submit(first)
        while not scheduler.idle:
            if first.landed == 9 and not late[0].pages:
                assert first.flights == 1
                for sequence in late:
                    scheduler.submit(sequence)
            if not scheduler.launch():
                scheduler.land()
        for sequence in (first, *late):
            new_tokens = sequence.limit - len(sequence.prompt)
            assert sequence.answer == reference(qwen, sequence.prompt, new_tokens)


async def test_stop_in_mid_batch(tmp_path: Path) -> None:
    prompts = [words(length, 10) for length in (12, 33, 25)]
    plain = save_model(tmp_path / "plain", "qwen2", stops=(241,))
    unstopped = [reference(plain, prompt, NEW) for prompt in prompts]
    stop = unstopped[0][NEW // 3]
    folder = save_model(tmp_path / "stopping", "qwen2", stops=(stop,))
    expected = [reference(folder, prompt, NEW) for prompt in prompts]
    assert len({len(tokens) for tokens in expected}) > 1
    for settings in ({}, {"speculation": "prompt-lookup", "speculative_batch": 4}):
        engine = TorchEngine(options(folder, **settings))
        done = await asyncio.gather(*(engine.generate(request(p, NEW)) for p in prompts))
        assert [completion.new_tokens for completion in done] == [len(tokens) for tokens in expected]
        reasons = ["stop" if tokens[-1] == stop else "length" for tokens in expected]
        assert [completion.finish_reason for completion in done] == reasons
        await engine.aclose()


async def test_other_family_through_transformers(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "gemma", "gemma")
    prompts = [words(length, 11) for length in (14, 37)]
    expected = [reference(folder, prompt, NEW) for prompt in prompts]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "error", FutureWarning
        )  # what transformers will no longer understand, it announces
        assert await _answers(TorchEngine(options(folder)), prompts) == expected
