"""Work of the server's own: begun and forgotten, or put off until a pause."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

_log = logging.getLogger(__name__)


class Later:
    """Tasks that no request waits for. Their errors go to the log; closing ends them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run ``coroutine`` beside everything else."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def call(self, key: str, seconds: float, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run what ``function`` gives after ``seconds`` in which ``key`` was not put off again."""
        self.cancel(key)
        loop = asyncio.get_running_loop()
        self._timers[key] = loop.call_later(seconds, self._due, key, function)

    def cancel(self, key: str) -> None:
        """Do not run what waits under ``key``."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """End everything."""
        for key in list(self._timers):
            self.cancel(key)
        for task in self._tasks:
            task.cancel()

    def _due(self, key: str, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._timers.pop(key, None)
        self.begin(function())

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("work in the background failed", exc_info=error)
