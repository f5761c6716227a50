"""How many requests to have under way at one server: found by trying, given up on overload."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from qsum_lsp.engines.protocol import Priority

_GROWTH_WORTH_HAVING = 1.1
_WINDOWS_BETWEEN_PROBES = 8


class AdaptiveLimiter:
    """Admits requests by priority, oldest first, up to a limit that adapts.

    The limit doubles as long as each doubling pays in tokens a second (a server that only queues gains nothing
    from more), halves on each wave of overload, and after that grows by one a window (additive increase,
    multiplicative decrease: Chiu and Jain, 1989). A hover may go over the limit by ``hover_reserve``.
    """

    def __init__(self, *, start: int, most: int, hover_reserve: int = 2) -> None:
        self.limit = start
        self.running = 0
        self._most = most
        self._reserve = hover_reserve
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._doubling = True
        self._best_rate = 0.0
        self._windows = 0
        self._done = 0
        self._tokens = 0
        self._saturated = False
        self._window_from: float | None = None
        self._last_decrease = float("-inf")
        self._resume_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Requests that wait for admission."""
        return len(self._waiting)

    @asynccontextmanager
    async def slot(self, priority: Priority) -> AsyncIterator[float]:
        """Hold one of the places; yields the time of admission, for ``overloaded``."""
        loop = asyncio.get_running_loop()
        admitted: asyncio.Future[None] = loop.create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), admitted))
        self._admit()
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self._leave()
            else:
                admitted.cancel()
                self._drop_cancelled()
            raise
        try:
            yield loop.time()
        finally:
            self._leave()

    def succeeded(self, tokens: int) -> None:
        """A request was answered with so many tokens, prompt and answer together."""
        now = asyncio.get_running_loop().time()
        if self._window_from is None:
            self._window_from = now
            return
        self._done += 1
        self._tokens += tokens
        self._saturated = self._saturated or bool(self._waiting)
        if self._done < max(self.limit, 4):
            return
        rate = self._tokens / max(now - self._window_from, 1e-6)
        if self._saturated:
            self._grow(rate)
        self._done, self._tokens, self._saturated, self._window_from = 0, 0, False, now
        self._admit()

    def overloaded(self, admitted_at: float, *, pause_seconds: float = 0.0) -> None:
        """The server was too busy for a request admitted at that time; nobody is admitted during the pause."""
        now = asyncio.get_running_loop().time()
        self._resume_at = max(self._resume_at, now + pause_seconds)
        if admitted_at < self._last_decrease:
            return  # the same wave: its requests were under way before the limit went down
        self._last_decrease = now
        self._doubling = False
        self.limit = max(1, self.limit // 2)

    def _grow(self, rate: float) -> None:
        self._windows += 1
        if self._doubling:
            if rate >= self._best_rate * _GROWTH_WORTH_HAVING:
                self._best_rate = rate
                self.limit = min(self._most, self.limit * 2)
            else:
                self._doubling = False
                self.limit = max(1, self.limit * 3 // 4)
        elif self._windows % _WINDOWS_BETWEEN_PROBES == 0 or rate > self._best_rate:
            self._best_rate = max(self._best_rate, rate)
            self.limit = min(self._most, self.limit + 1)

    def _leave(self) -> None:
        self.running -= 1
        self._admit()

    def _drop_cancelled(self) -> None:
        self._waiting = [entry for entry in self._waiting if not entry[2].done()]
        heapq.heapify(self._waiting)

    def _admit(self) -> None:
        loop = asyncio.get_running_loop()
        if self._waiting and loop.time() < self._resume_at:
            if self._timer is None:
                self._timer = loop.call_at(self._resume_at, self._after_pause)
            return
        while self._waiting:
            priority, _, admitted = self._waiting[0]
            places = self.limit + (self._reserve if priority is Priority.HOVER else 0)
            if not admitted.done() and self.running >= places:
                return
            heapq.heappop(self._waiting)
            if not admitted.done():
                self.running += 1
                admitted.set_result(None)

    def _after_pause(self) -> None:
        self._timer = None
        self._admit()
