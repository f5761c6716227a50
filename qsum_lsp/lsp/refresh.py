"""Asking the client to ask again, rarely enough."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)

_PAUSE_SECONDS = 0.4
_ANSWER_SECONDS = 10.0


class Refresh:
    """One kind of refresh. However often it is wanted, one request is under way, and a pause comes before the next."""

    def __init__(self, ask: Callable[[], Awaitable[object]]) -> None:
        self._ask = ask
        self._wanted = False
        self._is_closed = False
        self._task: asyncio.Task[None] | None = None

    def want(self) -> None:
        """Ask the client soon."""
        self._wanted = True
        if self._is_closed:
            return
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    def cancel(self) -> None:
        """Ask no more, also where what ends now wants it."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while self._wanted:
            await asyncio.sleep(_PAUSE_SECONDS)
            self._wanted = False
            try:
                await asyncio.wait_for(self._ask(), _ANSWER_SECONDS)
            except Exception as error:  # a client that refuses or is gone
                _log.debug("the client did not refresh: %r", error)
