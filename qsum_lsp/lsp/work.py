"""Summaries being made: who waits for them, and which of them an edit has made pointless."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from qsum_lsp.engines.protocol import OnText, Priority
from qsum_lsp.errors import QsumError
from qsum_lsp.lsp.documents import Snapshot
from qsum_lsp.summaries import PAGE, SectionSummary

_log = logging.getLogger(__name__)

EDIT_PAUSE_SECONDS = 0.3
"""So long after the last key the work of a document is looked through."""

_T = TypeVar("_T")

MakeSummary = Callable[[Snapshot, str, Priority, OnText], Awaitable[SectionSummary]]


@dataclass(eq=False, slots=True)
class SectionWork:
    """The making of one section's summary. It goes on while a request waits, or once one was content to hear later."""

    snapshot: Snapshot
    section_id: str
    text: str
    priority: Priority
    task: "asyncio.Task[SectionSummary]" = field(init=False)
    waiting: int = 0
    is_wanted_later: bool = False
    heard: str = ""
    listeners: list[OnText] = field(default_factory=list)

    def hear(self, piece: str) -> None:
        """Pass the text so far on, as it streams; what becomes of it may differ."""
        self.heard += piece
        for listener in self.listeners:
            listener(self.heard)

    async def result(self, seconds: float | None) -> SectionSummary | None:
        """The summary, or None where it is not there in time or was given up. Raises QsumError.

        A waiting request that is cancelled takes the work with it unless somebody else wants it.
        """
        self.waiting += 1
        try:
            await asyncio.wait({self.task}, timeout=seconds)
            self.is_wanted_later = True
        finally:
            self.waiting -= 1
            if not self.waiting and not self.is_wanted_later:
                self.task.cancel()
        if not self.task.done() or self.task.cancelled():
            return None
        return self.task.result()


class WorkInProgress:
    """All work under way, by document."""

    def __init__(self, make: MakeSummary, on_change: Callable[[], None]) -> None:
        self._make = make
        self._on_change = on_change
        self._sections: dict[tuple[str, str, str], SectionWork] = {}
        self._runs: dict[str, set[asyncio.Task[Any]]] = {}
        self._reviews: dict[str, asyncio.TimerHandle] = {}
        self._edits: dict[str, asyncio.Event] = {}

    def __len__(self) -> int:
        """How many sections and runs are under way."""
        return len(self._sections) + sum(len(runs) for runs in self._runs.values())

    def section(self, snapshot: Snapshot, section_id: str, priority: Priority) -> SectionWork:
        """The work on one section: begun, or joined where it is under way as urgently."""
        text = snapshot.text_of(section_id)
        key = (snapshot.uri, section_id, text)
        work = self._sections.get(key)
        if work is not None and work.task.cancelling():
            work = None  # given up just now, which takes a few turns of the loop
        if work is None or work.priority > priority:
            before, work = work, SectionWork(snapshot, section_id, text, priority)
            work.is_wanted_later = before is not None and before.is_wanted_later
            work.task = asyncio.create_task(self._make_one(work))
            work.task.add_done_callback(lambda _: self._finished(key, work))
            self._sections[key] = work
            self._on_change()
        return work

    def ids(self, uri: str) -> set[str]:
        """The sections of a document whose summaries are being made."""
        return {work.section_id for work in self._sections.values() if work.snapshot.uri == uri}

    async def run(
        self,
        uri: str,
        coroutine: Coroutine[Any, Any, _T],
        on_cancel: Callable[[Callable[[], object]], None],
    ) -> _T | None:
        """What ``coroutine`` returns or raises; None where the user gave it up or closed the document.

        ``on_cancel`` is given the function that gives it up.
        """
        task = asyncio.create_task(coroutine)
        runs = self._runs.setdefault(uri, set())
        runs.add(task)
        on_cancel(task.cancel)
        self._on_change()
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            runs.discard(task)
            if not runs:
                self._runs.pop(uri, None)
            self._on_change()
        return None if task.cancelled() else task.result()

    def next_edit(self, uri: str) -> asyncio.Event:
        """Set when the document has been edited and a pause has followed."""
        return self._edits.setdefault(uri, asyncio.Event())

    def edited(self, uri: str, current: Callable[[], Snapshot | None]) -> None:
        """After a pause, give up the work on sections whose text is gone."""
        pending = self._reviews.pop(uri, None)
        if pending is not None:
            pending.cancel()
        if uri in self._runs or any(work.snapshot.uri == uri for work in self._sections.values()):
            loop = asyncio.get_running_loop()
            self._reviews[uri] = loop.call_later(EDIT_PAUSE_SECONDS, self._review, uri, current)

    def closed(self, uri: str) -> None:
        """Give up all work on a document."""
        for work in list(self._sections.values()):
            if work.snapshot.uri == uri:
                work.task.cancel()
        for task in self._runs.get(uri, ()):
            task.cancel()
        self._edits.pop(uri, None)

    def cancel(self) -> None:
        """Give up everything."""
        for work in list(self._sections.values()):
            work.task.cancel()
        for runs in list(self._runs.values()):
            for task in runs:
                task.cancel()
        for review in self._reviews.values():
            review.cancel()

    async def _make_one(self, work: SectionWork) -> SectionSummary:
        return await self._make(work.snapshot, work.section_id, work.priority, work.hear)

    def _finished(self, key: tuple[str, str, str], work: SectionWork) -> None:
        if self._sections.get(key) is work:
            del self._sections[key]
        if not work.task.cancelled():
            error = work.task.exception()
            if error is not None and not isinstance(error, QsumError):
                _log.error("making a summary failed", exc_info=error)
        self._on_change()

    def _review(self, uri: str, current: Callable[[], Snapshot | None]) -> None:
        self._reviews.pop(uri, None)
        edit = self._edits.pop(uri, None)
        if edit is not None:
            edit.set()
        snapshot = current()
        for work in list(self._sections.values()):
            if work.snapshot.uri != uri:
                continue
            if work.section_id == PAGE:
                holds = snapshot is not None and snapshot.text_of(PAGE) == work.text
            else:
                holds = snapshot is not None and work.text in snapshot.text
            if not holds:
                work.task.cancel()
