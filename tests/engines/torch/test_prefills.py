"""Which prefills are recorded, and what happens where they cannot be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from qsum_lsp.engines.torch import prefills
from qsum_lsp.engines.torch.executor import PrefillPart
from qsum_lsp.engines.torch.model import PrefillInput
from qsum_lsp.engines.torch.prefills import PrefillKey, PrefillLibrary
from qsum_lsp.engines.torch.sequence import RunningSequence
from qsum_lsp.engines.torch.state import DecodeState

CPU = torch.device("cpu")


class Record:
    """Stands in for a CUDA graph: replays by launching again."""

    def __init__(self, launch: Callable[[], None]) -> None:
        self.replay = launch

    def pool(self) -> tuple[int, int]:
        return 0, 1


def part(length: int, slot: int = 0, start: int = 0) -> PrefillPart:
    """The tokens from ``start`` on of a prompt of ``length``."""
    sequence = RunningSequence(
        prompt=[1 + n % 40 for n in range(length)], limit=length + 8, priority=0, on_tokens=lambda _: None,
        on_finish=lambda _: None, on_failure=lambda _: None, slot=slot, pages=list(range(1, 1 + -(-length // 16))),
    )  # fmt: skip
    return PrefillPart(sequence, start, length, first=True)


class Prefills:
    """A library whose prefills only note the size that they were computed with."""

    def __init__(self) -> None:
        self.state = DecodeState(4, 9000, (3,), CPU)
        self.library = PrefillLibrary(self.state, captures=True)
        self.sizes: list[int] = []

    def compute(self, batch: PrefillInput) -> torch.Tensor:
        self.sizes.append(len(batch.tokens))
        return torch.full((len(batch.last),), 7)

    def run(self, *parts: PrefillPart) -> list[int]:
        def upload(values: np.ndarray[Any, Any]) -> torch.Tensor:
            return torch.from_numpy(values)

        output = self.library.run(parts, upload, self.compute, fixed=True)
        return output[: len(parts), 0].tolist()


def recording(monkeypatch: pytest.MonkeyPatch, fails: type[RuntimeError] | None = None) -> list[int]:
    """Let records be made on the CPU; the list grows with each that is tried."""
    tried: list[int] = []

    def record(launch: Callable[[], None], _pool: object, _stream: object) -> Record:
        tried.append(1)
        if fails is not None:
            raise fails("operation not permitted when stream is capturing")
        return Record(launch)

    monkeypatch.setattr(prefills, "record", record)
    return tried


def test_a_size_is_recorded_when_it_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tried, made = recording(monkeypatch), Prefills()
    for length in (200, 130, 250):
        assert made.run(part(length)) == [7]
    assert made.sizes == [256, 256, 256]
    assert len(tried) == 1


def test_prefills_that_cannot_be_recorded_are_launched_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    tried, made = recording(monkeypatch, RuntimeError), Prefills()
    for length in (200, 130, 250, 90):
        assert made.run(part(length)) == [7]
    assert len(tried) == 1
    assert made.sizes == [256, 256, 250, 90]
    assert not made.library.prepare(PrefillKey(256, 8, 0, 1024), made.compute)


def test_running_out_of_memory_is_the_callers_to_handle(monkeypatch: pytest.MonkeyPatch) -> None:
    recording(monkeypatch, torch.OutOfMemoryError)
    made = Prefills()
    made.run(part(200))
    with pytest.raises(torch.OutOfMemoryError):
        made.run(part(200))


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([part(700)], PrefillKey(768, 8, 0, 1024)),
        ([part(700), part(500, 1)], PrefillKey(1536, 8, 0, 1024)),
        ([part(3000)], PrefillKey(3072, 8, 0, 4096)),
        ([part(700, start=304)], PrefillKey(512, 8, 768, 1024)),
    ],
)
def test_sizes_are_few(parts: list[PrefillPart], expected: PrefillKey) -> None:
    assert Prefills().library.key(parts, fixed=True) == expected
