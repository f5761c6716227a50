"""Summarising a whole document, or some of its sections, while it is being edited."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from qsum_lsp.engines.protocol import Priority
from qsum_lsp.lsp.documents import SectionName, Snapshot
from qsum_lsp.lsp.presenting import plain
from qsum_lsp.lsp.progress import Reporter
from qsum_lsp.lsp.server import QsumServer
from qsum_lsp.summaries import DocumentSummary, ProgressEvent, SectionDone

_OVERLAP_SECONDS = 0.5
"""So long an old run goes on after the new one began: what both want is not begun again."""


class DocumentRun:
    """One run over a document. After an edit and a pause it goes on with the new text; what is done is done.

    With ``only_stale`` it is for the sections whose last summaries do not hold any more.
    """

    def __init__(self, ls: QsumServer, snapshot: Snapshot, progress: Reporter, *, only_stale: bool) -> None:
        self._ls = ls
        self._only_stale = only_stale
        self._found_stale: set[SectionName] = set()
        self._progress = progress
        self.snapshot = snapshot
        self.settings = ls.settings(snapshot.uri)

    async def complete(self) -> DocumentSummary:
        """The summaries of ``snapshot``, which is the latest text, under ``settings``. Raises QsumError."""
        uri = self.snapshot.uri
        running = self._start()
        leaving: set[asyncio.Task[DocumentSummary]] = set()
        try:
            while True:
                edit = asyncio.ensure_future(self._ls.work.next_edit(uri).wait())
                try:
                    await asyncio.wait((running, edit), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    edit.cancel()
                if running.done():
                    return await running
                latest = self._ls.documents.get(uri)
                if latest is None or latest.text == self.snapshot.text:
                    continue
                self.snapshot = latest
                before, running = running, self._start()
                leaving.add(before)
                asyncio.get_running_loop().call_later(_OVERLAP_SECONDS, before.cancel)
        finally:
            for task in (running, *leaving):
                task.cancel()

    def _start(self) -> "asyncio.Task[DocumentSummary]":
        """The run over the present text, what is in view first."""
        ls, snapshot = self._ls, self.snapshot
        settings = self.settings = ls.settings(snapshot.uri)
        only = self._stale() if self._only_stale else None
        seen = [
            section_id
            for section_id in ls.seen.ids(snapshot.uri)
            if snapshot.section(section_id) and (only is None or section_id in only)
        ]

        def heard(event: ProgressEvent) -> None:
            if isinstance(event, SectionDone):
                ls.arrived(snapshot, settings, event.summary)
                section = snapshot.section(event.summary.section_id)
                title = plain(section.title) if section else snapshot.name
                self._progress.report(
                    f"{event.done}/{event.total} · {title}", 100 * event.done // event.total
                )

        runs = [
            ls.backend.summarize(snapshot, settings, only=only, priority=Priority.DOCUMENT, on_progress=heard)
        ]
        if seen:
            runs.append(ls.backend.summarize(snapshot, settings, only=seen, priority=Priority.VISIBLE))
        task = asyncio.create_task(_first_of(runs))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # an old run's is nobody's
        return task

    def _stale(self) -> list[str]:
        """The ids in the present text, where an edit may have shifted them, of all that the run has found stale."""
        names = self.snapshot.names
        self._found_stale.update(names[section_id] for section_id in self._ls.stale(self.snapshot))
        return [section_id for section_id, name in names.items() if name in self._found_stale]


async def _first_of(runs: list[Coroutine[Any, Any, DocumentSummary]]) -> DocumentSummary:
    """What the first of ``runs`` returns; when it ends, however it ends, all have ended."""
    tasks = [asyncio.create_task(run) for run in runs]
    try:
        return (await asyncio.gather(*tasks))[0]
    finally:
        for task in tasks:
            task.cancel()
