"""The thread on which engines live, so that nothing they do keeps the protocol waiting."""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")
_CLOSING_SECONDS = 5.0


class EngineThread:
    """An event loop in a thread of its own; started by the first use."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    async def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """What ``coroutine`` returns or raises over there. Cancelling this cancels it, without waiting for its end."""
        return await asyncio.wrap_future(self.submit(coroutine))

    def submit(self, coroutine: Coroutine[Any, Any, _T]) -> concurrent.futures.Future[_T]:
        """Start ``coroutine`` over there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._running_loop())

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Cancel what runs, run ``last`` and end the thread; waits a few seconds at most."""
        if self._loop is None or self._thread is None:
            last.close()
            return
        ending = asyncio.run_coroutine_threadsafe(self._end(last), self._loop)
        with contextlib.suppress(Exception):  # the process ends; an engine that does not is ended with it
            ending.result(_CLOSING_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(1.0)
        self._loop = self._thread = None

    async def _end(self, last: Coroutine[Any, Any, None]) -> None:
        own = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not own]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await last

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)
            self._thread.start()
        return self._loop
