"""How many requests to have under way at one server: found by trying, given up on overload."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from qsum_lsp.engines.protocol import Priority

_GROWTH_WORTH_HAVING = 1.1
_WINDOWS_BETWEEN_TRIALS = 8
_FEWEST_IN_WINDOW = 4


@dataclass(slots=True)
class _Window:
    """Requests that were admitted since then, all under one limit; all figures are sums over them."""

    since: float
    is_settled: bool = False
    done: int = 0
    tokens: int = 0
    busy_seconds: float = 0.0
    beside: int = 0

    @property
    def rate(self) -> float:
        """Tokens a second, by Little's law: so many at once, divided by how long each took.

        Answers that come in waves, or late after a stall of this process, hardly touch it; a count of tokens by the
        clock they would.
        """
        return self.tokens / max(self.busy_seconds, 1e-6) * self.beside / self.done


class AdaptiveLimiter:
    """Admits requests by priority, oldest first, up to a limit that adapts.

    A doubled limit is tried, and kept where it pays in tokens a second (a server that only queues gains nothing from
    more); the next trial then follows at once, else after some windows, since what was measured may have been chance.
    The limit halves on each wave of overload, and after that grows by one a window (additive increase, multiplicative
    decrease: Chiu and Jain, 1989). A hover may go over the limit by ``hover_reserve``.
    """

    def __init__(self, *, start: int, most: int, hover_reserve: int = 2) -> None:
        self.limit = start
        self.running = 0
        self._most = most
        self._reserve = hover_reserve
        self._waiting: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._window = _Window(float("-inf"))
        self._before_trial: tuple[int, float] | None = None
        self._rest_windows = 0
        self._is_careful = False
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

    def succeeded(self, tokens: int, admitted_at: float) -> None:
        """A request admitted at that time was answered with so many tokens, prompt and answer together."""
        window = self._window
        now = asyncio.get_running_loop().time()
        if admitted_at < window.since or not self._waiting:
            return  # it ran under another limit, or nothing is held back by this one
        if not window.is_settled:
            window.is_settled = True
            window.since = now  # by now the server's queue has the length that belongs to the limit
            return
        window.done += 1
        window.tokens += tokens
        window.busy_seconds += now - admitted_at
        window.beside += self.running
        if window.done >= max(self.limit, _FEWEST_IN_WINDOW):
            self._adapt(window.rate)
            self._admit()

    def overloaded(self, admitted_at: float, *, pause_seconds: float = 0.0) -> None:
        """The server was too busy for a request admitted at that time; nobody is admitted during the pause."""
        now = asyncio.get_running_loop().time()
        self._resume_at = max(self._resume_at, now + pause_seconds)
        if admitted_at < self._last_decrease:
            return  # the same wave: its requests were under way before the limit went down
        self._last_decrease = now
        self._is_careful = True
        self._set_limit(self.limit // 2)

    def _adapt(self, rate: float) -> None:
        """Decide on the limit after a window that brought so many tokens a second."""
        before = self._before_trial
        if self._is_careful:
            self._set_limit(self.limit + 1)
        elif before is not None and rate < before[1] * _GROWTH_WORTH_HAVING:
            self._set_limit(before[0])
            self._rest_windows = _WINDOWS_BETWEEN_TRIALS
        elif self._rest_windows and before is None:
            self._rest_windows -= 1
            self._set_limit(self.limit)
        else:
            tried = (self.limit, rate)
            self._set_limit(self.limit * 2)
            self._before_trial = tried

    def _set_limit(self, limit: int) -> None:
        self.limit = min(self._most, max(1, limit))
        self._before_trial = None
        self._window = _Window(asyncio.get_running_loop().time())

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
