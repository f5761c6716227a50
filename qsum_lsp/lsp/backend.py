"""The summariser behind the server: lookups here at once, work on the engine thread."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

from qsum_lsp.document import Document
from qsum_lsp.engines.protocol import EngineIdentity, EngineStatus, Priority
from qsum_lsp.front_matter.check import CheckedPage
from qsum_lsp.front_matter.neighbours import Neighbours
from qsum_lsp.front_matter.style import PageStyle
from qsum_lsp.front_matter.update import UpdatedPage, update_page
from qsum_lsp.home import store_path
from qsum_lsp.lsp.documents import Snapshot
from qsum_lsp.lsp.downloads import Downloads
from qsum_lsp.lsp.engine_thread import EngineThread
from qsum_lsp.lsp.memory_store import MemoryStore
from qsum_lsp.service import Service, import_client, model_to_pull, summary_options
from qsum_lsp.settings import Settings
from qsum_lsp.store import Store
from qsum_lsp.summaries import (
    PAGE,
    DocumentSummary,
    OnProgress,
    ProgressEvent,
    SectionSummary,
    SectionText,
    Summarizer,
)

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Prepared:
    """``worker`` belongs to the engine thread, ``reader`` to the protocol's; both know the same summaries."""

    worker: Summarizer
    reader: Summarizer


class Backend:
    """Summaries for snapshots under settings. Its methods belong to the protocol's thread."""

    def __init__(self, downloads: Downloads) -> None:
        self.store = Store(store_path())
        self.memory = MemoryStore(reader=Store(store_path()), writer=self.store)
        self._thread = EngineThread()
        self._downloads = downloads
        self._service = Service(self.memory)
        self._prepared: dict[Settings, Prepared] = {}

    def lookup(
        self, snapshot: Snapshot, settings: Settings, only: Collection[str]
    ) -> dict[str, SectionSummary]:
        """What is known already of the sections ``only``; nothing before ``prepare`` has run for ``settings``."""
        prepared = self._prepared.get(settings)
        if prepared is None:
            return {}
        return prepared.reader.lookup(snapshot.document, summary_options(settings), only=only).summaries

    async def lookup_all(self, snapshot: Snapshot, settings: Settings) -> dict[str, SectionSummary]:
        """What is known of all sections and the page, looked up off the protocol's thread."""
        prepared = await self.prepare(settings)

        async def look() -> DocumentSummary:
            return prepared.worker.lookup(snapshot.document, summary_options(settings))

        return (await self._thread.run(look())).summaries

    def identity(self, settings: Settings) -> EngineIdentity | None:
        """The engine for ``settings``; None before ``prepare``."""
        prepared = self._prepared.get(settings)
        return prepared.worker.engine.identity if prepared else None

    async def prepare(self, settings: Settings) -> Prepared:
        """Find out which engine ``settings`` mean; loads no model. Raises EngineUnavailable, UsageError."""
        if settings not in self._prepared:
            self._prepared[settings] = await self._thread.run(self._prepare(settings))
        return self._prepared[settings]

    async def summarize(  # noqa: PLR0913 — as the summariser's own
        self,
        snapshot: Snapshot,
        settings: Settings,
        *,
        only: Collection[str] | None,
        priority: Priority,
        on_progress: OnProgress | None = None,
        streaming: bool = False,
    ) -> DocumentSummary:
        """Summaries of the sections ``only``, or of all. Raises EngineUnavailable, UsageError.

        ``on_progress`` is called on this thread; with pieces of text only if ``streaming``.
        """
        prepared = await self._with_model(settings)
        relay = self._relay(on_progress, streaming=streaming)
        return await self._thread.run(
            prepared.worker.summarize(
                snapshot.document, summary_options(settings), only=only, priority=priority, on_progress=relay
            )
        )

    async def update_page(
        self, checked: CheckedPage, settings: Settings, neighbours: Neighbours
    ) -> UpdatedPage:
        """The page with a new summary in its front matter; nothing is written to the disk."""
        prepared = await self._with_model(settings)

        async def summarize(document: Document, style: PageStyle) -> SectionSummary | None:
            options = style.options(summary_options(settings))
            result = await prepared.worker.summarize(
                document, options, only=(PAGE,), priority=Priority.VISIBLE
            )
            return result.summaries.get(PAGE)

        return await self._thread.run(update_page(checked, settings, neighbours, summarize, dry_run=True))

    async def status(self, settings: Settings) -> tuple[EngineIdentity, EngineStatus] | None:
        """What the engine for ``settings`` is and does; None before it was asked for anything."""
        prepared = self._prepared.get(settings)
        if prepared is None:
            return None

        async def ask() -> EngineStatus:
            return prepared.worker.engine.status()

        return prepared.worker.engine.identity, await self._thread.run(ask())

    async def clear(self) -> None:
        """Forget all summaries. Raises FileError."""
        await self.off_thread(self.store.clear)
        self.memory.forget()

    async def figures(self, settings: Settings) -> dict[str, Any]:
        """The store's and the engine's figures, for people."""
        stats = await self.off_thread(self.store.stats)
        found: dict[str, Any] = {
            "cache": {
                "hits": self.memory.hits,
                "misses": self.memory.misses,
                "entries": stats.entries,
                "bytes": stats.bytes,
                "path": str(stats.path),
            }
        }
        engine = await self.status(settings)
        if engine is not None:
            found["engineStatus"] = {
                "state": engine[1].state,
                "slots": engine[1].slots,
                "memoryBytes": engine[1].memory_bytes,
                "tokensPerSecond": engine[1].tokens_per_second,
                "detail": engine[1].detail,
            }
        return found

    async def off_thread(self, function: Callable[[], _T]) -> _T:
        """``function`` called on the engine thread."""

        async def call() -> _T:
            return function()

        return await self._thread.run(call())

    def close(self) -> None:
        """Stop all work and release the engines."""
        self._thread.close(self._service.__aexit__())
        self.store.close()

    async def _prepare(self, settings: Settings) -> Prepared:
        worker = self._service.summarizer(settings)
        asyncio.get_running_loop().run_in_executor(None, import_client, settings)  # nobody waits for it
        return Prepared(worker, Summarizer(worker.engine, self.memory))

    async def _with_model(self, settings: Settings) -> Prepared:
        prepared = await self.prepare(settings)
        alias = await self.off_thread(lambda: model_to_pull(settings))
        if alias is not None:
            await self._downloads.pull(alias)
        return prepared

    def _relay(self, on_progress: OnProgress | None, *, streaming: bool) -> OnProgress | None:
        if on_progress is None:
            return None
        loop = asyncio.get_running_loop()

        def relay(event: ProgressEvent) -> None:
            if streaming or not isinstance(event, SectionText):
                loop.call_soon_threadsafe(on_progress, event)

        return relay
