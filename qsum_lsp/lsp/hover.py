"""Hover: the summary of the section whose heading is pointed at."""

from lsprotocol import types

from qsum_lsp.document import Section
from qsum_lsp.engines.protocol import Priority
from qsum_lsp.errors import QsumError
from qsum_lsp.lsp.documents import Snapshot
from qsum_lsp.lsp.presenting import HoverText, size_of
from qsum_lsp.lsp.server import QsumServer


async def hover(ls: QsumServer, params: types.HoverParams) -> types.Hover | None:
    """What is known at once; else the summary if it is there in time, and the work goes on if not."""
    with ls.latencies.measured("hover"):
        snapshot = ls.documents.get(params.text_document.uri)
        section = snapshot.heading_at(params.position.line) if snapshot else None
        if snapshot is None or section is None:
            return None
        text = await _text(ls, snapshot, section)
        kind = types.MarkupKind.Markdown if ls.client.shows_markdown else types.MarkupKind.PlainText
        heading = snapshot.heading_lines(section)
        span = ls.positions(heading).range(0, len(heading.text))
        for place in (span.start, span.end):
            place.line += section.line - 1
        return types.Hover(
            contents=types.MarkupContent(kind=kind, value=text),
            range=span,
        )


async def _text(ls: QsumServer, snapshot: Snapshot, section: Section) -> str:
    shown = HoverText(
        section, words=size_of(snapshot.document.text_of(section)), as_markdown=ls.client.shows_markdown
    )
    uri = snapshot.uri
    summary = ls.look_up(snapshot, section.id)
    if summary is not None:
        return shown.summary(summary, ls.identity(uri))
    work = ls.work.section(snapshot, section.id, Priority.HOVER)
    try:
        summary = await work.result(ls.settings(uri).hover_wait_ms / 1000)
    except QsumError as error:
        return shown.nothing(f"No summary: {error}")
    if summary is not None:
        return shown.summary(summary, ls.identity(uri))
    if work.task.cancelled():
        return shown.nothing("No summary: the document was changed or closed.")
    last = ls.known.last(snapshot, section.id)
    doing = ls.downloads.state or "summarising"
    doing = doing[0].upper() + doing[1:] + "…"
    return shown.outdated(last, doing) if last is not None else shown.nothing(doing)
