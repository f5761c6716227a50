"""What the engine's thread has to tell the event loops that asked it."""

import asyncio
import logging
from collections.abc import Callable, Sequence

_log = logging.getLogger(__name__)

Call = Callable[[], None]


class Outbox:
    """Calls for event loops. A loop is woken once for all of them: a wake costs more than most calls, and hundreds of answers can end in one step."""

    def __init__(self) -> None:
        self._calls: dict[asyncio.AbstractEventLoop, list[Call]] = {}

    def add(self, loop: asyncio.AbstractEventLoop, call: Call) -> None:
        """Have ``loop`` make ``call`` after the next ``send``."""
        self._calls.setdefault(loop, []).append(call)

    def send(self) -> None:
        """Wake the loops that have something to do."""
        calls, self._calls = self._calls, {}
        for loop, theirs in calls.items():
            try:
                loop.call_soon_threadsafe(_schedule, loop, theirs)
            except RuntimeError:  # closed while its requests were under way: nobody listens
                _log.debug("An event loop was closed before its requests ended")


def _schedule(loop: asyncio.AbstractEventLoop, calls: Sequence[Call]) -> None:
    for call in calls:
        loop.call_soon(call)  # one that fails must not keep the others from being made
