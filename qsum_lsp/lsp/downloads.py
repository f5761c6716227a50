"""Models that have to be downloaded before the first summary: once, with progress that people see."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from qsum_lsp import models
from qsum_lsp.daemon_thread import in_daemon_thread
from qsum_lsp.errors import QsumError
from qsum_lsp.models import PullProgress

_log = logging.getLogger(__name__)

Report = Callable[[PullProgress], None]
WithProgress = Callable[[str, Callable[[Report], Awaitable[None]]], Awaitable[None]]
"""A title, and what is to be done with a report function; shows the reports while it is done."""


class Downloads:
    """At most one download of each model, however many summaries wait for it.

    ``state`` says, for people, what is downloaded now; empty where nothing is.
    """

    def __init__(self, with_progress: WithProgress, on_change: Callable[[], None]) -> None:
        self._with_progress = with_progress
        self._on_change = on_change
        self._running: dict[str, asyncio.Task[None]] = {}
        self.state = ""

    async def pull(self, alias: str) -> None:
        """Return when the model ``alias`` is here. Raises what ``models.pull`` raises.

        Giving up the wait does not end the download; only its own cancel button or the server's end does.
        """
        task = self._running.get(alias)
        if task is None:
            task = asyncio.create_task(self._pull(alias))
            self._running[alias] = task
            task.add_done_callback(lambda _: self._forget(alias))
        await asyncio.shield(task)

    def cancel(self) -> None:
        """End all downloads; the next one goes on where they stopped."""
        for task in self._running.values():
            task.cancel()

    async def _pull(self, alias: str) -> None:
        await self._with_progress(f"Downloading {alias}", lambda report: self._pulled(alias, report))

    async def _pulled(self, alias: str, report: Report) -> None:
        loop = asyncio.get_running_loop()
        stopped = False

        def seen(progress: PullProgress) -> None:
            share = progress.done * 100 // max(progress.total, 1)
            state = f"downloading {alias}: {share} % of {progress.total / 1e6:,.0f} MB"
            if state != self.state:
                self.state = state
                self._on_change()
            report(progress)

        def relay(progress: PullProgress) -> None:
            if stopped:
                raise _Stopped
            loop.call_soon_threadsafe(seen, progress)

        _log.info("downloading the model %s", alias)
        try:
            await in_daemon_thread(lambda: models.pull(alias, relay), name="download")
        finally:
            stopped = True

    def _forget(self, alias: str) -> None:
        task = self._running.pop(alias)
        if not task.cancelled():
            task.exception()
        if not self._running:
            self.state = ""
        self._on_change()


class _Stopped(QsumError):
    """Ends a pull whose download was given up."""
