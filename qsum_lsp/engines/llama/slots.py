"""Who decodes next, and where: a queue by priority in front of a few slots."""

import asyncio
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from qsum_lsp.engines.protocol import Priority


@dataclass(slots=True)
class Slot:
    """A sequence of the server. ``tokens`` is the prompt whose state it holds, as far as is known."""

    number: int
    tokens: Sequence[int] = ()
    busy: bool = False


@dataclass(slots=True, order=True)
class _Waiting:
    priority: Priority
    order: int
    tokens: Sequence[int] = field(compare=False)
    granted: asyncio.Future[Slot] = field(compare=False)


class Slots:
    """Slot 0 is kept for hovers, which so never wait for a page to finish; the server fills its batch from slot 0 up.

    Others are given to the lowest priority value first, oldest first within one, and each request gets the free slot
    that holds most of its prompt already.
    """

    def __init__(self, number: int) -> None:
        self._slots = [Slot(index) for index in range(number)]
        self._queue: list[_Waiting] = []
        self._order = count()

    @property
    def running(self) -> int:
        """How many slots are taken."""
        return sum(slot.busy for slot in self._slots)

    @property
    def waiting(self) -> int:
        """How many requests have no slot yet."""
        return sum(not waiting.granted.done() for waiting in self._queue)

    async def acquire(self, tokens: Sequence[int], priority: Priority) -> Slot:
        """Wait for a slot for the prompt ``tokens``; to be released in any case."""
        waiting = _Waiting(priority, next(self._order), tokens, asyncio.get_running_loop().create_future())
        heapq.heappush(self._queue, waiting)
        self._grant()
        try:
            return await waiting.granted
        except asyncio.CancelledError:
            if (
                waiting.granted.done()
                and not waiting.granted.cancelled()
                and waiting.granted.exception() is None
            ):
                self.release(waiting.granted.result())
            raise

    def release(self, slot: Slot) -> None:
        """Give ``slot`` back."""
        slot.busy = False
        self._grant()

    def fail_waiting(self, error: Exception) -> None:
        """Refuse everything that waits."""
        for waiting in self._queue:
            if not waiting.granted.done():
                waiting.granted.set_exception(error)
        self._queue.clear()

    def _grant(self) -> None:
        while self._queue:
            if self._queue[0].granted.done():  # its task was cancelled
                heapq.heappop(self._queue)
                continue
            free = [slot for slot in self._slots if not slot.busy]
            if self._queue[0].priority > Priority.HOVER:
                free = [slot for slot in free if slot.number > 0]
            if not free:
                return
            waiting = heapq.heappop(self._queue)
            slot = max(free, key=lambda slot: (common_prefix(slot.tokens, waiting.tokens), -slot.number))
            slot.busy = True
            waiting.granted.set_result(slot)


def common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences share at their beginning."""
    length = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        length += 1
    return length
