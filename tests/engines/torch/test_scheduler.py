"""Which work is launched when, on a device that only notes it."""

from collections.abc import Callable, Sequence

import pytest

from qsum_lsp.engines.protocol import EngineFailed, Priority
from qsum_lsp.engines.torch.executor import PrefillPart
from qsum_lsp.engines.torch.scheduler import FLIGHTS, HELD_BACK, Scheduler
from qsum_lsp.engines.torch.sequence import RunningSequence

NEW = 5
WORD, STOP = 7, 1


class Slow:
    """Work that is done no earlier than somebody waits for it."""

    def __init__(self, rows: list[list[int]]) -> None:
        self.rows = rows

    def ready(self) -> bool:
        return False

    def wait(self) -> list[list[int]]:
        return self.rows


class Soon(Slow):
    """Work that is found done when it is looked at for the third time."""

    looks = 0

    def ready(self) -> bool:
        self.looks += 1
        return self.looks > 2


class Device:
    """Stands in for a GPU on which prefills run beside steps."""

    pages, shares_prefixes, overlaps, draft_tokens = 100, False, True, 0

    def __init__(self, work: type[Slow] = Slow) -> None:
        self.work = work
        self.prefills: list[int] = []
        self.steps: list[int] = []
        self.before_first_step = 0

    def prefill(self, parts: Sequence[PrefillPart]) -> Slow:
        self.prefills.append(len(parts))
        return self.work([[WORD] for part in parts if part.last])

    def step(self, sequences: Sequence[RunningSequence], *, drafts: int) -> Slow:
        assert drafts == 0
        if not self.steps:
            self.before_first_step = len(self.prefills)
        self.steps.append(len(sequences))
        return self.work([[1, WORD] for _ in sequences])

    def join(self) -> None:
        pass

    def release(self, sequence: RunningSequence) -> None:
        pass

    def free_memory(self) -> None:
        pass


def _sequence(
    priority: Priority, on_failure: Callable[[EngineFailed], None] = lambda _: None, new: int = NEW
) -> RunningSequence:
    return RunningSequence(
        prompt=[3] * 30,
        limit=30 + new,
        priority=priority,
        on_tokens=lambda _: None,
        on_finish=lambda _: None,
        on_failure=on_failure,
    )


def submitted(
    priorities: list[Priority], on_failure: Callable[[EngineFailed], None], work: type[Slow] = Slow
) -> tuple[Device, Scheduler, list[RunningSequence]]:
    """Prompts of 30 tokens, two of which fill a prefill."""
    device = Device(work)
    scheduler = Scheduler(device, stops=[STOP], max_batch=8, prefill_tokens=60, speculative_batch=0)  # type: ignore[arg-type]
    sequences = []
    for priority in priorities:
        sequence = _sequence(priority, on_failure)
        sequences.append(sequence)
        scheduler.submit(sequence)
    return device, scheduler, sequences


def turn(scheduler: Scheduler) -> None:
    """Launch what can be launched, else wait for what was."""
    if not scheduler.launch():
        scheduler.land()


def run(priorities: list[Priority]) -> tuple[Device, list[list[int]]]:
    """Until all are answered."""
    device, scheduler, sequences = submitted(priorities, lambda error: pytest.fail(str(error)))
    while not scheduler.idle:
        turn(scheduler)
    return device, [sequence.answer for sequence in sequences]


def test_a_batch_is_read_whole_and_decoded_in_step() -> None:
    device, answers = run([Priority.BATCH] * 6)
    assert device.prefills == [2, 2, 2]
    assert device.before_first_step == 3
    assert device.steps == [6] * (NEW - 1)  # the first token of each comes from its prefill
    assert answers == [[WORD] * NEW] * 6


def test_who_waits_for_a_first_word_does_not_wait_for_the_others() -> None:
    device, answers = run([Priority.HOVER] * 6)
    assert device.before_first_step < 3
    assert device.steps[0] == 2
    assert answers == [[WORD] * NEW] * 6


def test_a_hover_does_not_wait_for_a_batch_that_fills_all_slots() -> None:
    device, scheduler, _ = submitted([], lambda error: pytest.fail(str(error)))
    batch = [_sequence(Priority.BATCH, new=60) for _ in range(20)]
    for sequence in batch:
        scheduler.submit(sequence)
    while not device.steps or device.steps[-1] < 8:
        turn(scheduler)
    steps = len(device.steps)
    hover = _sequence(Priority.HOVER)
    scheduler.submit(hover)
    while not hover.over:
        turn(scheduler)
    assert hover.answer == [WORD] * NEW
    assert device.prefills[-1] == 1, "its prompt is read next, and alone"
    assert len(device.steps) - steps <= NEW + 2 * FLIGHTS
    while not scheduler.idle:
        turn(scheduler)
    assert max(device.steps) == 8, "no step has more rows than it is made for"
    assert [sequence.answer for sequence in batch] == [[WORD] * 60] * 20


def test_a_hover_does_not_wait_for_the_prompts_of_a_batch() -> None:
    device, scheduler, _ = submitted([Priority.BATCH] * 8, lambda error: pytest.fail(str(error)))
    scheduler.launch()
    under_way = len(device.prefills)
    hover = _sequence(Priority.HOVER)
    scheduler.submit(hover)
    while not hover.over:
        turn(scheduler)
    assert device.prefills[under_way:] in ([1], [2, 1]), (
        "its prompt is read next, and no other before it has ended"
    )
    while not scheduler.idle:
        turn(scheduler)
    assert sum(device.prefills) == 9


def test_prompts_are_read_again_however_long_somebody_hovers() -> None:
    device, scheduler, _ = submitted([], lambda error: pytest.fail(str(error)), Soon)
    hover = _sequence(Priority.HOVER, new=400)
    scheduler.submit(hover)
    while hover.landed == 0:
        turn(scheduler)
    late = [_sequence(Priority.BATCH) for _ in range(6)]
    for sequence in late:
        scheduler.submit(sequence)
    begun = len(device.steps)
    while not late[0].landed:
        turn(scheduler)
    assert HELD_BACK - FLIGHTS <= len(device.steps) - begun <= HELD_BACK + 3 * FLIGHTS
    while not all(sequence.over for sequence in late):
        turn(scheduler)
    assert not hover.over


@pytest.mark.parametrize("turns", range(8))
def test_when_the_device_fails_all_are_told_once(turns: int) -> None:
    told: list[EngineFailed] = []
    _, scheduler, sequences = submitted([Priority.HOVER] * 6, told.append)
    for _ in range(turns):
        turn(scheduler)
    ended = [sequence for sequence in sequences if sequence.over]
    scheduler.abandon(EngineFailed("The device failed."))
    assert len(told) + len(ended) == 6
    assert scheduler.idle


def test_who_gave_up_is_not_told() -> None:
    told: list[EngineFailed] = []
    _, scheduler, sequences = submitted([Priority.HOVER] * 6, told.append)
    scheduler.launch()
    scheduler.launch()
    scheduler.cancel(sequences[0])
    scheduler.abandon(EngineFailed("The device failed."))
    assert len(told) == 5
