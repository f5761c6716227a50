"""Which request the engine gets next: by priority, and within a priority one from each client in turn."""

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Literal

from qsum_lsp.engines.protocol import (
    Completion,
    Engine,
    GenerationRequest,
    OnText,
    Priority,
)
from qsum_lsp.errors import EngineUnavailable

_SLOTS_WHERE_UNKNOWN = 8
_RATE_SECONDS = 10.0


class QueueFull(Exception):
    """Too many requests wait already. ``retry_after`` is in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("Too many requests wait for the engine.")
        self.retry_after = retry_after


class Stopping(Exception):
    """The engine is going down and hands this request back."""


@dataclass(slots=True, eq=False)
class _Waiting:
    priority: Priority
    client: str
    admitted: asyncio.Future[None]


class FairQueue:
    """First by priority, then round-robin by client, then oldest first."""

    def __init__(self) -> None:
        self._levels: dict[Priority, OrderedDict[str, deque[_Waiting]]] = {
            level: OrderedDict() for level in Priority
        }
        self._per_client: dict[str, int] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def of(self, client: str) -> int:
        """How many requests of that client wait."""
        return self._per_client.get(client, 0)

    def push(self, entry: _Waiting) -> None:
        """Queue behind the same client's requests of the same priority."""
        self._levels[entry.priority].setdefault(entry.client, deque()).append(entry)
        self._per_client[entry.client] = self.of(entry.client) + 1
        self._size += 1

    def first(self) -> Priority | None:
        """The priority of what ``pop`` would give."""
        return next((level for level, clients in self._levels.items() if clients), None)

    def pop(self) -> _Waiting:
        """The next; its client goes to the end of the round."""
        level = self.first()
        if level is None:
            raise IndexError("the queue is empty")
        clients = self._levels[level]
        client, entries = next(iter(clients.items()))
        entry = entries.popleft()
        clients.move_to_end(client)
        if not entries:
            del clients[client]
        self._forget(entry)
        return entry

    def discard(self, entry: _Waiting) -> None:
        """Take out a request that is given up; nothing where it is not in the queue."""
        entries = self._levels[entry.priority].get(entry.client)
        if entries is None or entry not in entries:
            return
        entries.remove(entry)
        if not entries:
            del self._levels[entry.priority][entry.client]
        self._forget(entry)

    def _forget(self, entry: _Waiting) -> None:
        self._size -= 1
        left = self._per_client[entry.client] - 1
        if left:
            self._per_client[entry.client] = left
        else:
            del self._per_client[entry.client]


class Scheduler:
    """Hands requests to ``engine``, a few more than it can decode together; a hover always goes through.

    Until ``open`` is called everything waits. At most ``most_waiting`` requests wait, of one client at most
    ``most_waiting_per_client``.
    """

    def __init__(self, engine: Engine, *, most_waiting: int, most_waiting_per_client: int) -> None:
        self._engine = engine
        self._most_waiting = most_waiting
        self._most_per_client = most_waiting_per_client
        self._queue = FairQueue()
        self._places = 0
        self._state: Literal["loading", "open", "stopping"] | EngineUnavailable = "loading"
        self._finished: deque[float] = deque()
        self._tasks: set[asyncio.Task[Completion]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self.running = 0
        self.last_progress = 0.0

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    def open(self, slots: int | None) -> None:
        """The engine is loaded and decodes ``slots`` requests together."""
        slots = slots or _SLOTS_WHERE_UNKNOWN
        # Some more than the slots, so that a free slot is never idle for want of a prepared request.
        self._places = slots + max(2, slots // 4)
        self._state = "open"
        self._dispatch()

    def fail(self, error: EngineUnavailable) -> None:
        """The engine cannot be loaded: everything that waits, and whatever comes, gets the error."""
        self._state = error
        self._flush(error)

    async def stop(self, grace_seconds: float) -> None:
        """Hand back what waits, let what runs finish, and after ``grace_seconds`` hand that back too."""
        self._state = "stopping"
        self._flush(Stopping())
        try:
            async with asyncio.timeout(grace_seconds):
                await self._idle.wait()
        except TimeoutError:
            for task in self._tasks:
                task.cancel()

    async def run(self, request: GenerationRequest, *, client: str, on_text: OnText) -> Completion:
        """The engine's answer, when it is this request's turn.

        Raises QueueFull, Stopping, and what the engine raises.
        """
        await self._wait_for_turn(request.priority, client)
        self.last_progress = _now()

        def forward(piece: str) -> None:
            self.last_progress = _now()
            on_text(piece)

        task = asyncio.create_task(self._engine.generate(request, on_text=forward))
        self._tasks.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if self._state == "stopping" and not _being_cancelled():
                raise Stopping from None
            raise
        finally:
            self._tasks.discard(task)
            self._leave()

    async def _wait_for_turn(self, priority: Priority, client: str) -> None:
        if isinstance(self._state, EngineUnavailable):
            raise EngineUnavailable(str(self._state))
        if self._state == "stopping":
            raise Stopping
        if len(self._queue) >= self._most_waiting or self._queue.of(client) >= self._most_per_client:
            raise QueueFull(self._retry_after())
        entry = _Waiting(priority, client, asyncio.get_running_loop().create_future())
        self._queue.push(entry)
        self._dispatch()
        try:
            await entry.admitted
        except asyncio.CancelledError:
            if entry.admitted.done() and not entry.admitted.cancelled() and not entry.admitted.exception():
                self._leave()
            else:
                self._queue.discard(entry)
            raise

    def _dispatch(self) -> None:
        while self._state == "open" and (level := self._queue.first()) is not None:
            places = self._places * 2 if level is Priority.HOVER else self._places
            if self.running >= places:
                return
            entry = self._queue.pop()
            if not entry.admitted.done():
                self.running += 1
                self._idle.clear()
                entry.admitted.set_result(None)

    def _leave(self) -> None:
        self.running -= 1
        now = self.last_progress = _now()
        self._finished.append(now)
        while self._finished[0] < now - _RATE_SECONDS:
            self._finished.popleft()
        if self.running == 0:
            self._idle.set()
        self._dispatch()

    def _flush(self, error: Exception) -> None:
        while self._queue:
            entry = self._queue.pop()
            if not entry.admitted.done():
                entry.admitted.set_exception(_copy(error))

    def _retry_after(self) -> float:
        """About the time in which a quarter of the queue is done."""
        a_second = len(self._finished) / _RATE_SECONDS
        return min(30.0, max(1.0, len(self._queue) / 4 / a_second if a_second else 5.0))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _copy(error: Exception) -> Exception:
    """An exception of the same kind: one object must not be raised in several tasks."""
    return type(error)(*error.args)
