"""Whatever comes and goes, and however the device behaves: everybody gets an answer once, and all memory comes back."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qsum_lsp.engines.protocol import EngineFailed, Priority
from qsum_lsp.engines.torch.executor import PrefillPart
from qsum_lsp.engines.torch.pages import PAGE_TOKENS
from qsum_lsp.engines.torch.scheduler import FLIGHTS, HELD_BACK, Scheduler
from qsum_lsp.engines.torch.sequence import FinishReason, RunningSequence

WORD, STOP = 7, 1
SLOTS, PAGES = 4, 40
MOST_LOOKS = 5


@dataclass
class Job:
    """A request and what became of it; its answer is ``wanted``."""

    sequence: RunningSequence
    wanted: list[int]
    told: list[str] = field(default_factory=list)
    cancelled: bool = False


class Work:
    """Launched work, ready when chance has it, or after some looks; until somebody waits it touches its sequences' memory."""

    def __init__(self, device: "Device", sequences: Sequence[RunningSequence], rows: list[list[int]]) -> None:
        self.device, self.sequences, self.rows = device, list(sequences), rows
        self.looks = 0
        device.under_way.append(self)

    def ready(self) -> bool:
        self.looks += 1
        return self.looks == MOST_LOOKS or self.device.chance.random() < 0.3

    def wait(self) -> list[list[int]]:
        self.device.under_way.remove(self)
        return self.rows


class Device:
    """Computes in the order of launching, as a GPU does; runs out of memory now and then.

    Where prefills run beside steps, a step may read what a prefill writes only after ``join``.
    """

    def __init__(
        self, seed: int, *, shares: bool, overlaps: bool, drafts: int, failing: float, pages: int = PAGES
    ) -> None:
        self.chance = random.Random(seed)  # noqa: S311
        self.pages = pages
        self.shares_prefixes, self.overlaps, self.draft_tokens = shares, overlaps, drafts
        self.failing = failing
        self.jobs: dict[RunningSequence, Job] = {}
        self.made: dict[RunningSequence, int] = {}
        self.held: dict[int, RunningSequence] = {}
        self.under_way: list[Work] = []
        self.beside: set[RunningSequence] = set()

    def _may_fail(self) -> None:
        if self.chance.random() < self.failing:
            raise torch.OutOfMemoryError

    def prefill(self, parts: Sequence[PrefillPart]) -> Work:
        self._may_fail()
        rows = []
        for part in parts:
            sequence = part.sequence
            assert 0 <= part.start < part.end <= len(sequence.prompt)
            assert len(sequence.pages) * PAGE_TOKENS >= sequence.limit
            assert self.held.setdefault(sequence.slot, sequence) is sequence
            written = set(sequence.pages[part.start // PAGE_TOKENS : -(-part.end // PAGE_TOKENS)])
            assert not any(written & set(s.pages) for s in self.held.values() if s is not sequence)
            self.beside.update([sequence] if self.overlaps else [])
            if part.last:
                rows.append(self._tokens(sequence, 1)[1:2])
        return Work(self, [part.sequence for part in parts], rows)

    def step(self, sequences: Sequence[RunningSequence], *, drafts: int) -> Work:
        self._may_fail()
        assert len({sequence.slot for sequence in sequences}) == len(sequences) <= SLOTS
        assert self.beside.isdisjoint(sequences)
        rows = [self._tokens(s, self.chance.randint(1, drafts + 1)) for s in sequences]
        return Work(self, sequences, rows)

    def _tokens(self, sequence: RunningSequence, count: int) -> list[int]:
        wanted = self.jobs[sequence].wanted
        known = len(sequence.answer) - sequence.landed  # an answer that begins anew counts as prompt
        done = self.made.get(sequence, known)
        new = wanted[done : done + count]
        self.made[sequence] = done + len(new)
        return [len(new), *new, *[0] * (count - len(new))]

    def join(self) -> None:
        self.beside.clear()

    def release(self, sequence: RunningSequence) -> None:
        assert not any(sequence in work.sequences for work in self.under_way)
        assert self.held.pop(sequence.slot, sequence) is sequence  # given up before it was computed
        self.made.pop(sequence, None)
        self.beside.discard(sequence)

    def free_memory(self) -> None:
        pass


def job(chance: random.Random, device: Device, priority: Priority | None = None, longest: int = 9) -> Job:
    """A request of any length; some answers stop by themselves. Prompts have beginnings in common."""
    length, new = chance.randint(1, 90), chance.randint(1, longest)
    wanted = [WORD] * new
    if chance.random() < 0.5:
        wanted = [*[WORD] * chance.randint(0, new - 1), STOP]
    made: Job

    def on_finish(reason: FinishReason) -> None:
        made.told.append(reason)

    def on_failure(error: EngineFailed) -> None:
        made.told.append("failed")

    sequence = RunningSequence(
        prompt=[chance.randint(2, 3)] * length,
        limit=length + new,
        priority=chance.choice(list(Priority)) if priority is None else priority,
        on_tokens=lambda _: None,
        on_finish=on_finish,
        on_failure=on_failure,
    )
    made = Job(sequence, wanted)
    device.jobs[sequence] = made
    return made


@given(
    seed=st.integers(0, 2**32),
    shares=st.booleans(),
    overlaps=st.booleans(),
    drafts=st.sampled_from([0, 3]),
    failing=st.sampled_from([0.0, 0.0, 0.1]),
)
@settings(max_examples=300, deadline=None)
def test_everybody_is_answered_once(
    seed: int, *, shares: bool, overlaps: bool, drafts: int, failing: float
) -> None:
    device = Device(seed, shares=shares, overlaps=overlaps, drafts=drafts, failing=failing)
    chance = device.chance
    scheduler = Scheduler(
        device,  # type: ignore[arg-type]
        stops=[STOP],
        max_batch=SLOTS,
        prefill_tokens=chance.choice([16, 64, 300]),
        speculative_batch=2,
    )
    jobs: list[Job] = []
    for _ in range(chance.randint(1, 60)):
        action = chance.random()
        if action < 0.3:
            jobs.append(job(chance, device))
            scheduler.submit(jobs[-1].sequence)
        elif action < 0.36 and jobs:
            given_up = chance.choice(jobs)
            given_up.cancelled = given_up.cancelled or not given_up.told
            scheduler.cancel(given_up.sequence)
        elif not scheduler.idle and not scheduler.launch():
            scheduler.land()
    for _ in range(3000):
        if scheduler.idle:
            break
        if not scheduler.launch():
            scheduler.land()
    assert scheduler.idle
    for each in jobs:
        assert len(each.told) == (0 if each.cancelled else 1)
        if each.told and each.told != ["failed"]:
            assert each.sequence.answer == each.wanted
            assert each.told == ["stop" if each.wanted[-1] == STOP else "length"]
        assert failing or each.told != ["failed"]
    assert device.held == {}
    assert device.under_way == []
    assert scheduler.free_pages == PAGES - 1
    assert scheduler.running == scheduler.waiting == 0


@given(
    seed=st.integers(0, 2**32),
    shares=st.booleans(),
    overlaps=st.booleans(),
    drafts=st.sampled_from([0, 3]),
    prefill=st.sampled_from([96, 300]),
)
@settings(max_examples=200, deadline=None)
def test_hovers_at_any_time_are_answered_soon_and_keep_nobody_from_an_answer(
    seed: int, *, shares: bool, overlaps: bool, drafts: int, prefill: int
) -> None:
    device = Device(seed, shares=shares, overlaps=overlaps, drafts=drafts, failing=0.0, pages=400)
    chance = device.chance
    scheduler = Scheduler(
        device,  # type: ignore[arg-type]
        stops=[STOP],
        max_batch=SLOTS,
        prefill_tokens=prefill,
        speculative_batch=2,
    )
    others = [
        job(chance, device, chance.choice(list(Priority)[1:]), longest=80)
        for _ in range(chance.randint(1, 20))
    ]
    hovers: list[Job] = []
    left: dict[RunningSequence, int] = {}
    turns = 0

    def work(each: Job) -> int:
        return len(each.wanted) + HELD_BACK + 2 * FLIGHTS

    most_turns = 3 * sum(work(each) for each in others)
    for each in others:
        scheduler.submit(each.sequence)
    busy = chance.random()
    while not all(each.told for each in others):
        turns += 1
        assert turns <= most_turns
        left = {hover: count - 1 for hover, count in left.items() if not hover.over}
        assert all(count > 0 for count in left.values())
        if (
            len(left) < SLOTS - 1 and chance.random() < busy
        ):  # with as many hovers as rows, others rightly wait
            hovers.append(job(chance, device, Priority.HOVER))
            hover = hovers[-1].sequence
            left[hover] = 2 * len(hovers[-1].wanted) + (FLIGHTS + 2) * MOST_LOOKS
            scheduler.submit(hover)
        if hovers and chance.random() < 0.05:
            hovers[-1].cancelled = hovers[-1].cancelled or not hovers[-1].told
            scheduler.cancel(hovers[-1].sequence)
        if not scheduler.launch():
            under_way = len(device.under_way)
            scheduler.land()
            assert len(device.under_way) < under_way or scheduler.idle
    while not scheduler.idle:
        if not scheduler.launch():
            scheduler.land()
    for each in [*others, *hovers]:
        assert len(each.told) == (0 if each.cancelled else 1)
        assert each.cancelled or each.sequence.answer == each.wanted
    assert device.held == {}
    assert scheduler.free_pages == device.pages - 1
