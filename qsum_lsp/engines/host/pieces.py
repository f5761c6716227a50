"""The text of an answer between the engine that writes it and the client that reads it."""

import asyncio

_EVENT_SECONDS = 0.05  # each event costs a reader 0.3 ms, and no person sees more than twenty a second


class Pieces:
    """What an engine has written and nobody has read yet; ``max_new_tokens`` bounds it.

    Pieces that come within ``_EVENT_SECONDS`` are handed on as one.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._texts: list[str] = []
        self._ended = False
        self._ready = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._not_before = self._loop.time()

    def add(self, text: str) -> None:
        """The next piece."""
        self._texts.append(text)
        if self._timer is None:
            self._timer = self._loop.call_at(self._not_before, self._ready.set)

    def end(self, _: object) -> None:
        """There will be no more."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        self._ready.set()

    async def next(self) -> str | None:
        """All the text that is there, once there is any; None when it has ended and all is read."""
        await self._ready.wait()
        if not self._texts:
            return None
        text = "".join(self._texts)
        self._texts.clear()
        self._timer = None
        self._not_before = self._loop.time() + _EVENT_SECONDS
        if not self._ended:
            self._ready.clear()
        return text
