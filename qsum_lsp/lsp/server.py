"""The server object: what the features share."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException, JsonRpcInternalError
from pygls.lsp.server import LanguageServer

from qsum_lsp import __version__
from qsum_lsp.errors import EngineUnavailable, QsumError
from qsum_lsp.lsp import garbage
from qsum_lsp.lsp.client import Client
from qsum_lsp.lsp.configuration import Configuration
from qsum_lsp.lsp.latencies import Latencies
from qsum_lsp.lsp.later import Later
from qsum_lsp.lsp.protocol import QsumProtocol
from qsum_lsp.lsp.refresh import Refresh
from qsum_lsp.lsp.seen import Seen
from qsum_lsp.settings import Settings

if TYPE_CHECKING:  # what summaries need is imported after the first answer: an editor waits for that
    from qsum_lsp.document import LineTable
    from qsum_lsp.engines.protocol import EngineIdentity, Priority
    from qsum_lsp.lsp.backend import Backend
    from qsum_lsp.lsp.documents import OpenDocuments, Snapshot
    from qsum_lsp.lsp.downloads import Downloads, Report
    from qsum_lsp.lsp.known import KnownSummaries
    from qsum_lsp.lsp.page_summaries import PageSummaries
    from qsum_lsp.lsp.positions import Positions
    from qsum_lsp.lsp.work import WorkInProgress
    from qsum_lsp.models import PullProgress
    from qsum_lsp.summaries import ProgressEvent, SectionSummary

_log = logging.getLogger(__name__)


class QsumServer(LanguageServer):
    """One client, its documents and the work for them. All of it belongs to the protocol's event loop."""

    protocol: QsumProtocol

    def __init__(self) -> None:
        super().__init__(
            "qsum",
            __version__,
            text_document_sync_kind=types.TextDocumentSyncKind.Full,
            protocol_cls=QsumProtocol,
        )
        self.client = Client()
        self.configuration = Configuration(self.warn)
        self.seen = Seen()
        self.latencies = Latencies()
        self.later = Later()
        self.lens_refresh = Refresh(self._refresh_lenses)
        self.diagnostics_refresh = Refresh(lambda: self.workspace_diagnostic_refresh_async(None))
        self.status_refresh = Refresh(self._send_status)
        self.failure = ""  # of the engine, until a summary arrives again
        self._changed: set[str] = set()
        self._last_status: object = None

    @cached_property
    def documents(self) -> "OpenDocuments":
        """The documents of the client."""
        from qsum_lsp.lsp.documents import OpenDocuments

        return OpenDocuments()

    @cached_property
    def known(self) -> "KnownSummaries":
        """The last summaries seen."""
        from qsum_lsp.lsp.known import KnownSummaries

        return KnownSummaries()

    @cached_property
    def downloads(self) -> "Downloads":
        """Models on their way."""
        from qsum_lsp.lsp.downloads import Downloads

        return Downloads(self._with_progress, self.state_changed)

    @cached_property
    def backend(self) -> "Backend":
        """Summaries by engines and the store."""
        from qsum_lsp.lsp.backend import Backend

        return Backend(self.downloads)

    @cached_property
    def pages(self) -> "PageSummaries":
        """Front-matter summaries."""
        from qsum_lsp.lsp.page_summaries import PageSummaries

        return PageSummaries(self.backend)

    @cached_property
    def work(self) -> "WorkInProgress":
        """Summaries being made."""
        from qsum_lsp.lsp.work import WorkInProgress

        return WorkInProgress(self._make_summary, self.state_changed)

    def report_server_error(self, error: Exception, source: type[Exception]) -> None:
        """To the log; the answers to requests carry their own errors."""
        if isinstance(error, JsonRpcException) and not isinstance(error, JsonRpcInternalError):
            _log.warning("refused a message: %s", error)  # the client's fault
            return
        trace = error.data if isinstance(error, JsonRpcException) and error.data else {}
        _log.error("%s: %s\n%s", source.__name__, error, "".join(trace.get("traceback", ())), exc_info=error)

    def heard(self) -> None:
        """The client has sent a message."""
        self.later.call("garbage", garbage.PAUSE_SECONDS, garbage.collect)

    def warn(self, message: str) -> None:
        """Show a message that the user has to act on."""
        self.window_show_message(types.ShowMessageParams(type=types.MessageType.Warning, message=message))

    def tell(self, message: str) -> None:
        """Show a message that answers what the user did."""
        self.window_show_message(types.ShowMessageParams(type=types.MessageType.Info, message=message))

    def positions(self, lines: "LineTable") -> "Positions":
        """Positions in the text of ``lines`` as the client counts them."""
        from qsum_lsp.lsp.positions import Positions

        encoding = self.workspace.position_encoding or types.PositionEncodingKind.Utf16
        return Positions(lines, encoding)

    def settings(self, uri: str) -> Settings:
        """The settings of a document."""
        return self.configuration.settings_for(uri)

    def some_settings(self) -> Settings:
        """The settings of an open document, or else the workspace's."""
        return self.settings(next((snapshot.uri for snapshot in self.documents), ""))

    def identity(self, uri: str) -> "EngineIdentity | None":
        """The engine of a document, where it is known already."""
        return self.backend.identity(self.settings(uri))

    def look_up(self, snapshot: "Snapshot", section_id: str) -> "SectionSummary | None":
        """The summary that the store has of a section as it is now."""
        settings = self.settings(snapshot.uri)
        found = self.backend.lookup(snapshot, settings, (section_id,)).get(section_id)
        if found is not None:
            self.known.keep(snapshot, settings, found)
        return found

    async def look_up_all(self, snapshot: "Snapshot") -> dict[str, "SectionSummary"]:
        """The summaries that the store has of the page and its sections as they are now. Raises QsumError."""
        settings = self.settings(snapshot.uri)
        found = await self.backend.lookup_all(snapshot, settings)
        for summary in found.values():
            self.known.keep(snapshot, settings, summary)
        return found

    def stale(self, snapshot: "Snapshot") -> list[str]:
        """The ids of the sections whose last summary does not hold any more, as the outline has it."""
        settings = self.settings(snapshot.uri)
        changed = self.known.changed(snapshot, settings)
        found = self.backend.lookup(snapshot, settings, changed) if changed else {}
        for summary in found.values():
            self.known.keep(snapshot, settings, summary)
        return [section_id for section_id in changed if section_id not in found]

    def has_stale(self, snapshot: "Snapshot") -> bool:
        """Whether ``stale`` would find any. The shortest is looked at first: an edited section, not what it is in."""
        changed = self.known.changed(snapshot, self.settings(snapshot.uri))
        shortest = min(changed, key=lambda section_id: len(snapshot.text_of(section_id)), default=None)
        return shortest is not None and (
            self.look_up(snapshot, shortest) is None or bool(self.stale(snapshot))
        )

    def arrived(self, snapshot: "Snapshot", settings: Settings, *summaries: "SectionSummary") -> None:
        """New summaries are there: remember them and let the client know."""
        self.failure = ""
        for summary in summaries:
            self.known.keep(snapshot, settings, summary)
        self.look_again(snapshot)

    def look_again(self, snapshot: "Snapshot") -> None:
        """Let the client know that what is shown of a document's summaries has changed."""
        self._changed.add(snapshot.uri)
        self.lens_refresh.want()

    def failed(self, error: QsumError) -> None:
        """The engine could not serve a request."""
        self.failure = str(error)
        _log.warning("%s", error)
        self.state_changed()

    def state_changed(self) -> None:
        """Something that the status shows has changed."""
        if self.client.wants_status:
            self.status_refresh.want()

    def close(self) -> None:
        """Stop all work."""
        self.later.close()
        self.lens_refresh.cancel()
        self.diagnostics_refresh.cancel()
        self.status_refresh.cancel()
        self.work.cancel()
        self.downloads.cancel()

    def release(self) -> None:
        """Release the engines and the store, at the end of the process."""
        if "backend" in self.__dict__:
            self.backend.close()

    async def _make_summary(
        self, snapshot: "Snapshot", section_id: str, priority: "Priority", on_text: Callable[[str], None]
    ) -> "SectionSummary":
        from qsum_lsp.summaries import SectionText

        def heard(event: "ProgressEvent") -> None:
            if isinstance(event, SectionText):
                on_text(event.piece)

        settings = self.settings(snapshot.uri)
        try:
            result = await self.backend.summarize(
                snapshot, settings, only=(section_id,), priority=priority, on_progress=heard, streaming=True
            )
        except QsumError as error:
            self.failed(error)
            raise
        finally:
            self.look_again(snapshot)  # what says that the summary is being made holds no more
        summary = result.summaries[section_id]
        self.arrived(snapshot, settings, summary)
        return summary

    async def _with_progress(self, title: str, run: "Callable[[Report], Awaitable[None]]") -> None:
        from qsum_lsp.lsp.progress import work_done

        async with work_done(self, title) as progress:
            task = asyncio.ensure_future(run(lambda seen: progress.report(seen.activity, _percent(seen))))
            progress.on_cancel(task.cancel)
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
            if task.cancelled():
                raise EngineUnavailable(
                    "The download of the model was cancelled; the next summary goes on with it."
                )
            await task

    async def _refresh_lenses(self) -> None:
        changed, self._changed = self._changed, set()
        if self.client.wants_summary_changes:
            for uri in sorted(changed):
                self.protocol.notify("qsum/summariesChanged", {"uri": uri})
        if self.client.refreshes_lenses:
            await self.workspace_code_lens_refresh_async(None)

    async def status(self) -> dict[str, Any]:
        """What ``qsum/status`` says."""
        engine = await self.backend.status(self.some_settings())
        found: dict[str, Any] = {
            "state": "busy" if len(self.work) else "error" if self.failure else "idle",
            "message": self.downloads.state or self.failure,
            "engine": None,
            "model": None,
            "device": None,
            "running": 0,
            "waiting": 0,
        }
        if engine is not None:
            identity, status = engine
            found |= {
                "engine": identity.name,
                "model": identity.model,
                "device": status.device,
                "running": status.running,
                "waiting": status.waiting,
            }
            if status.state == "loading" and not found["message"]:
                found["message"] = f"loading {identity.model}"
        return found

    async def _send_status(self) -> None:
        status = await self.status()
        if status != self._last_status:
            self._last_status = status
            self.protocol.notify("qsum/status", status)


def _percent(seen: "PullProgress") -> int:
    return seen.done * 100 // max(seen.total, 1)
