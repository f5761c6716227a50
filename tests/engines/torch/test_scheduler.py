"""Which work is launched when, on a device that only notes it."""

from collections.abc import Sequence

import pytest

from qsum_lsp.engines.protocol import Priority
from qsum_lsp.engines.torch.executor import PrefillPart
from qsum_lsp.engines.torch.scheduler import Scheduler
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


class Device:
    """Stands in for a GPU on which prefills run beside steps."""

    pages, shares_prefixes, overlaps, draft_tokens = 100, False, True, 0

    def __init__(self) -> None:
        self.prefills: list[int] = []
        self.steps: list[int] = []
        self.before_first_step = 0

    def prefill(self, parts: Sequence[PrefillPart]) -> Slow:
        self.prefills.append(len(parts))
        return Slow([[WORD] for part in parts if part.last])

    def step(self, sequences: Sequence[RunningSequence], *, drafts: int) -> Slow:
        assert drafts == 0
        if not self.steps:
            self.before_first_step = len(self.prefills)
        self.steps.append(len(sequences))
        return Slow([[1, WORD] for _ in sequences])

    def join(self) -> None:
        pass

    def release(self, sequence: RunningSequence) -> None:
        pass

    def free_memory(self) -> None:
        pass


def run(priorities: list[Priority]) -> tuple[Device, list[list[int]]]:
    """Prompts of 30 tokens, two of which fill a prefill, until all are answered."""
    device = Device()
    scheduler = Scheduler(device, stops=[STOP], max_batch=8, prefill_tokens=60, speculative_batch=0)  # type: ignore[arg-type]
    sequences = []
    for priority in priorities:
        sequence = RunningSequence(
            prompt=[3] * 30,
            limit=30 + NEW,
            priority=priority,
            on_tokens=lambda _: None,
            on_finish=lambda _: None,
            on_failure=lambda error: pytest.fail(str(error)),
        )
        sequences.append(sequence)
        scheduler.submit(sequence)
    while not scheduler.idle:
        if not scheduler.launch():
            scheduler.land()
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
