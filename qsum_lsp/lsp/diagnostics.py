"""The hint that a page's front-matter summary is stale or missing."""

import logging

from lsprotocol import types

from qsum_lsp.lsp.documents import Snapshot
from qsum_lsp.lsp.page_summaries import PageSummary
from qsum_lsp.lsp.server import QsumServer

_log = logging.getLogger(__name__)

SOURCE = "qsum"
STALE, MISSING = "stale-summary", "missing-summary"
_MESSAGES = {
    STALE: "The summary under '{key}' is stale: the page has changed since it was written.",
    MISSING: "This page has no summary under '{key}', as the pages around it do.",
}


async def pull_diagnostics(
    ls: QsumServer, params: types.DocumentDiagnosticParams
) -> types.RelatedFullDocumentDiagnosticReport:
    """The hints of a document, for clients that ask."""
    snapshot = ls.documents.get(params.text_document.uri)
    return types.RelatedFullDocumentDiagnosticReport(items=await _hints(ls, snapshot) if snapshot else [])


async def publish(ls: QsumServer, snapshot: Snapshot) -> None:
    """Send the hints of an open document, for clients that do not ask."""
    items = await _hints(ls, snapshot)
    current = ls.documents.opened(snapshot.uri)
    if current is not None and current.version == snapshot.version:
        ls.text_document_publish_diagnostics(
            types.PublishDiagnosticsParams(uri=snapshot.uri, version=snapshot.version, diagnostics=items)
        )


def clear(ls: QsumServer, uri: str) -> None:
    """Take the hints of a closed document back."""
    if not ls.client.pulls_diagnostics:
        ls.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri=uri, diagnostics=[]))


def hint_code(page: PageSummary) -> str | None:
    """The code of the hint that a page deserves."""
    if page.state == "stale":
        return STALE
    return MISSING if page.state == "missing" and page.is_expected else None


async def _hints(ls: QsumServer, snapshot: Snapshot) -> list[types.Diagnostic]:
    page = await ls.pages.look(snapshot, ls.settings(snapshot.uri))
    code = hint_code(page)
    if code is None or ls.configuration.is_excluded(snapshot.uri):
        return []
    return [
        types.Diagnostic(
            range=ls.positions(snapshot.lines).range(page.start, page.end),
            severity=types.DiagnosticSeverity.Hint,
            code=code,
            source=SOURCE,
            message=_MESSAGES[code].format(key=page.key),
        )
    ]
