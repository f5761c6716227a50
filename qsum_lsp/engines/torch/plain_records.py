"""Plain steps as CUDA graphs: launched one by one, the hundreds of operations of a step keep the device waiting."""

import logging
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from qsum_lsp.engines.torch.graphs import Pool

_log = logging.getLogger(__name__)

Key = TypeVar("Key")


class Graph(Protocol):
    """What is used of ``torch.cuda.CUDAGraph``."""

    def replay(self) -> None: ...

    def pool(self) -> Pool: ...


class Step(Protocol):
    """What is used of ``DecodeStep``."""

    def run(self) -> None: ...


AnyStep = TypeVar("AnyStep", bound=Step)

Record = Callable[[Callable[[], None], Pool | None], Graph]
"""Records what the function launches, with memory from the pool or, where that is None, from a new one."""


class PlainRecords(Generic[Key, AnyStep]):
    """Runs the first step of a size as it is, which initialises what a recording may not, the second from its record.

    For the time until optimised steps are ready: all records are dropped at once, and their memory with them. Where
    one cannot be made (no memory, say), steps run as they are from then on.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._steps: dict[Key, AnyStep] = {}
        self._ran: set[Key] = set()
        self._graphs: dict[Key, Graph] = {}
        self._pool: Pool | None = None
        self.willing = True

    def __len__(self) -> int:
        return len(self._graphs)

    def step(self, key: Key, build: Callable[[], AnyStep]) -> AnyStep:
        """The step for ``key``, whose tensors live as long as its record does."""
        if key not in self._steps:
            self._steps[key] = build()
        return self._steps[key]

    def run(self, key: Key) -> None:
        """Launch the step for ``key``."""
        step = self._steps[key]
        if key not in self._graphs and key in self._ran and self.willing:
            self._try_to_record(key, step)
        graph = self._graphs.get(key)
        if graph is None:
            step.run()
            self._ran.add(key)
        else:
            graph.replay()

    def drop(self) -> None:
        """Give all records and their memory back; none may be under way on the device."""
        self._graphs.clear()
        self._steps.clear()
        self._ran.clear()
        self._pool = None

    def stop(self) -> None:
        """Drop all records and make no more."""
        self.willing = False
        self.drop()

    def _try_to_record(self, key: Key, step: AnyStep) -> None:
        try:
            graph = self._record(step.run, self._pool)
        except RuntimeError as error:  # out of memory is one, like all that the device reports
            _log.warning("Step %s is not recorded: %s", key, error)
            self.stop()  # recording has waited for the device, so no record is under way
            return
        if self._pool is None:
            self._pool = graph.pool()
        self._graphs[key] = graph
