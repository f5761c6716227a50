"""Plain steps are recorded while optimised ones are on their way; without a GPU the records are stand-ins."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from qsum_lsp.engines.torch import TorchEngine
from qsum_lsp.engines.torch import steps as steps_module
from qsum_lsp.engines.torch.graphs import Pool
from qsum_lsp.engines.torch.plain_records import PlainRecords
from qsum_lsp.engines.torch.runner import Runner
from qsum_lsp.engines.torch.steps import RECORDED_TOKENS, StepKey
from qsum_lsp.engines.torch.warmup import WarmUp
from tests.engines.torch.tiny import answer, options, reference, save_model, words

NEW = 24
POOL = (0, 7)


class StandIn:
    """Runs again what a graph would replay."""

    def __init__(self, launch: Callable[[], None]) -> None:
        self._launch = launch
        self.replays = 0

    def replay(self) -> None:
        self.replays += 1
        self._launch()

    def pool(self) -> Pool:
        return POOL


class Recorder:
    """Makes stand-ins, or fails as the device would from the ``fails_at``-th on."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.made: list[StandIn] = []
        self.pools: list[Pool | None] = []
        self._fails_at = fails_at

    def __call__(self, launch: Callable[[], None], pool: Pool | None) -> StandIn:
        self.pools.append(pool)
        if self._fails_at is not None and len(self.pools) >= self._fails_at:
            raise torch.OutOfMemoryError("no room")
        self.made.append(StandIn(launch))
        return self.made[-1]


class Counting:
    """A step that counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    def run(self) -> None:
        self.runs += 1


def _run(records: PlainRecords[str, Counting], key: str) -> Counting:
    step = records.step(key, Counting)
    records.run(key)
    return step


def test_the_first_is_run_and_the_second_recorded() -> None:
    recorder = Recorder()
    records: PlainRecords[str, Counting] = PlainRecords(recorder)
    step = _run(records, "a")
    assert (step.runs, len(recorder.made), len(records)) == (1, 0, 0)
    assert _run(records, "a") is step
    assert _run(records, "a") is step
    assert (step.runs, len(recorder.made), len(records)) == (3, 1, 1)
    assert recorder.made[0].replays == 2
    _run(records, "b")
    _run(records, "b")
    assert recorder.pools == [None, POOL]  # all in the pool of the first


def test_dropping_begins_anew() -> None:
    recorder = Recorder()
    records: PlainRecords[str, Counting] = PlainRecords(recorder)
    step = _run(records, "a")
    _run(records, "a")
    records.drop()
    assert len(records) == 0
    assert _run(records, "a") is not step
    assert len(recorder.made) == 1
    _run(records, "a")
    assert recorder.pools == [None, None]  # the first pool is gone


def test_a_record_that_fails_costs_nothing_but_the_records() -> None:
    recorder = Recorder(fails_at=2)
    records: PlainRecords[str, Counting] = PlainRecords(recorder)
    first, second = (records.step(key, Counting) for key in ("a", "b"))
    for key in ("a", "a", "a", "b", "b"):
        records.run(key)
    assert (first.runs, second.runs) == (3, 2)
    assert not records.willing
    assert len(records) == 0
    for key in ("a", "b"):
        assert _run(records, key).runs == 1
        assert _run(records, key).runs == 2
    assert len(recorder.pools) == 2


@pytest.fixture
def never_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """Optimised steps stay on their way for as long as a test runs."""
    monkeypatch.setattr(WarmUp, "begin", lambda _: None)


async def _engine(folder: Path, recorder: Recorder | None, **settings: object) -> tuple[TorchEngine, Runner]:
    engine = TorchEngine(options(folder, **({"compile": "reduce-overhead"} | settings)))
    await engine.load()
    executor = engine.device_thread.runner
    assert executor is not None
    if recorder is not None:
        executor.steps.plain_records = PlainRecords(recorder)
    return engine, executor


SPECULATION: dict[str, dict[str, object]] = {
    "none": {},
    "prompt lookup": {"speculation": "prompt-lookup", "speculative_batch": 4},
    "draft model": {"speculation": "draft", "speculative_batch": 4, "draft_model": "other"},
}


def _settings(speculation: str, folder: Path) -> dict[str, object]:
    settings = dict(SPECULATION[speculation])
    if "draft_model" in settings:
        settings["draft_model"] = str(save_model(folder / "draft", "qwen2", seed=1))
    return settings


@pytest.mark.usefixtures("never_ready")
@pytest.mark.parametrize("speculation", SPECULATION)
async def test_tokens_of_padded_steps(folder: Path, tmp_path: Path, speculation: str) -> None:
    prompts = [words(length, 40) * 2 for length in (3, 90, 16)]
    recorder = Recorder()
    engine, executor = await _engine(folder, recorder, **_settings(speculation, tmp_path))
    for some in (prompts[:1], prompts):
        expected = [reference(folder, prompt, NEW) for prompt in some]
        assert await answer(engine, some, NEW) == expected
    # one and, of three rows and what is left of them, four, two and one, all of up to 512 tokens
    assert 2 <= len(recorder.made) <= 3
    assert engine.warming
    assert executor.steps.plain_records
    await engine.aclose()
    assert not executor.steps.plain_records


@pytest.mark.usefixtures("never_ready")
async def test_freed_memory_is_made_use_of_for_a_record(qwen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []

    def no_room_at_first(launch: Callable[[], None], *_: object) -> StandIn:
        happened.append("record")
        if len(happened) == 1:
            raise torch.OutOfMemoryError("no room")
        return StandIn(launch)

    monkeypatch.setattr(steps_module, "record", no_room_at_first)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: happened.append("empty cache"))
    engine, executor = await _engine(qwen, None)
    executor.steps.plain_records = PlainRecords(executor.steps._record_plain)
    assert await answer(engine, [words(20, 47)], NEW) == [reference(qwen, words(20, 47), NEW)]
    assert happened == ["record", "empty cache", "record"]
    assert executor.steps.plain_records
    await engine.aclose()


@pytest.mark.usefixtures("never_ready")
async def test_without_room_for_records_steps_run_as_they_are(qwen: Path) -> None:
    engine, executor = await _engine(qwen, Recorder(fails_at=1))
    prompts = [words(length, 41) for length in (10, 30, 20)]
    assert await answer(engine, prompts, NEW) == [reference(qwen, prompt, NEW) for prompt in prompts]
    assert not executor.steps.plain_records
    await engine.aclose()


@pytest.mark.usefixtures("never_ready")
@pytest.mark.parametrize("work", ["_step", "_prefill"])
async def test_records_are_given_up_for_a_step_or_a_prefill(
    qwen: Path, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    engine, executor = await _engine(qwen, Recorder())
    prompts = [words(length, 42) for length in (10, 30)]
    assert await answer(engine, prompts, NEW) == [reference(qwen, prompt, NEW) for prompt in prompts]
    real = getattr(Runner, work)

    def fail_beside_records(self: Runner, *values: object, **named: object) -> object:
        if self.steps.plain_records:
            raise torch.OutOfMemoryError("no room")
        return real(self, *values, **named)

    monkeypatch.setattr(Runner, work, fail_beside_records)
    scheduler = engine.device_thread.scheduler
    assert scheduler is not None
    before = scheduler._prefill_tokens, scheduler._max_batch
    assert await answer(engine, prompts, NEW) == [reference(qwen, prompt, NEW) for prompt in prompts]
    assert (scheduler._prefill_tokens, scheduler._max_batch) == before
    assert not executor.steps.plain_records
    await engine.aclose()


@pytest.mark.usefixtures("never_ready")
async def test_records_go_when_nothing_better_is_on_its_way(
    qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, executor = await _engine(qwen, Recorder())
    await answer(engine, [words(20, 43)], NEW)
    assert executor.steps.plain_records
    monkeypatch.setattr(executor.warm_up, "failure", "no compiler here")
    with torch.inference_mode():
        assert executor.capture_next()
        assert not executor.capture_next()
    assert not executor.steps.plain_records
    prompts = [words(25, 44)]
    assert await answer(engine, prompts, NEW) == [reference(qwen, prompt, NEW) for prompt in prompts]
    assert not executor.steps.plain_records
    await engine.aclose()


async def test_eager_pytorch_stays_eager(qwen: Path) -> None:
    recorder = Recorder()
    engine, _ = await _engine(qwen, recorder, compile="off")
    await answer(engine, [words(20, 45)], NEW)
    assert recorder.pools == []
    await engine.aclose()


@pytest.mark.usefixtures("never_ready")
async def test_sizes(qwen: Path) -> None:
    engine, executor = await _engine(qwen, Recorder(), max_batch=64)
    steps = executor.steps
    assert steps.key(3, 1, 700, optimised=False, recorded=True) == StepKey(4, 1, 1024, False, recorded=True)
    assert steps.key(3, 8, 100, optimised=False, recorded=True) == StepKey(4, 8, 512, False, recorded=True)
    # what keeps much memory, and what is not asked to be recorded, is of exactly the size that is needed
    assert RECORDED_TOKENS < 33 * 1024
    assert steps.key(33, 1, 700, optimised=False, recorded=True) == StepKey(33, 1, 704, False)
    assert steps.key(3, 1, 700, optimised=False) == StepKey(3, 1, 704, False)
    await engine.aclose()


@pytest.mark.usefixtures("never_ready")
@pytest.mark.parametrize("speculation", SPECULATION)
async def test_a_record_gives_what_launches_give(qwen: Path, tmp_path: Path, speculation: str) -> None:
    settings = _settings(speculation, tmp_path)
    cuda = torch.cuda.is_available()  # then the records are the device's own
    if cuda:
        settings |= {"device": "cuda", "memory_mib": 1500}
    engine, executor = await _engine(qwen, None if cuda else Recorder(), **settings)
    state, steps = executor.state, executor.steps
    queries = 1 if speculation == "none" else 1 + executor.draft_tokens
    key = steps.key(3, queries, 100, optimised=False, recorded=True)
    step = steps.get(key)
    slots = torch.arange(3, device=state.device)
    tokens = torch.tensor([words(20, 46) * 2 for _ in slots], dtype=torch.int32, device=state.device)
    tokens[1:] += torch.tensor([[1], [2]], dtype=torch.int32, device=state.device)

    def eight_steps(launch: Callable[[], None]) -> list[list[list[int]]]:
        state.history[slots] = 0  # wrong drafts are told by what stood there
        state.history[slots, :40] = tokens
        state.length[slots], state.limit[slots], state.done[slots] = 40, 200, 0
        state.table[slots, :13] = torch.arange(1, 40, dtype=torch.int32, device=state.device).view(3, 13)
        step.rows.copy_(torch.tensor([0, 1, 2, state.idle_slot]))
        outputs = []
        for _ in range(8):
            launch()
            outputs.append(step.output.tolist())
        return outputs

    with torch.inference_mode():
        recorded = eight_steps(lambda: steps.run(key, step))
        assert steps.plain_records
        assert recorded == eight_steps(step.run)
    assert [row[0] > 0 for row in recorded[-1]] == [True, True, True, False]
    await engine.aclose()
