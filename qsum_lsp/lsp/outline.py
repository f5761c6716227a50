"""``qsum/outline``: the sections of a document with what is known of their summaries."""

from collections.abc import Mapping
from typing import Any

from pygls.exceptions import JsonRpcInvalidParams

from qsum_lsp.errors import QsumError
from qsum_lsp.lsp.documents import Snapshot
from qsum_lsp.lsp.protocol import PlainJson
from qsum_lsp.lsp.server import QsumServer
from qsum_lsp.summaries import PAGE, SectionSummary


async def outline(ls: QsumServer, params: Any) -> PlainJson:
    """``{textDocument: {uri}}`` to the sections in document order, or null for what is no document."""
    with ls.latencies.measured("qsum/outline"):
        snapshot = ls.documents.get(_uri(params))
        if snapshot is None:
            return PlainJson.of(None)
        try:
            found = await ls.look_up_all(snapshot)
            message = ""
        except QsumError as error:
            found, message = {}, str(error)
        running = ls.work.ids(snapshot.uri)
        positions = ls.positions(snapshot.lines)
        sections = []
        for section in snapshot.document.walk():
            heading_end = snapshot.lines.end(snapshot.lines.line_at(max(section.content_start - 1, 0)))
            sections.append(
                {
                    "id": section.id,
                    "title": section.title,
                    "level": section.level,
                    "range": positions.json_range(section.start, section.end),
                    "selectionRange": positions.json_range(
                        section.start, max(heading_end, section.start) if section.level else section.start
                    ),
                    "running": section.id in running,
                    **_known(ls, snapshot, section.id, found),
                }
            )
        return PlainJson.of(
            {
                "uri": snapshot.uri,
                "version": snapshot.version,
                "title": snapshot.title,
                "message": message,
                "page": {"running": PAGE in running, **_known(ls, snapshot, PAGE, found)},
                "sections": sections,
            }
        )


def summary_fields(summary: SectionSummary | None) -> dict[str, Any]:
    """A summary as the protocol shows it; all null where there is none."""
    if summary is None:
        return {"summary": None, "source": None, "cached": None, "grounded": None, "note": ""}
    return {
        "summary": summary.text,
        "source": summary.source,
        "cached": summary.cached,
        "grounded": summary.grounded,
        "note": summary.note,
    }


def _known(
    ls: QsumServer, snapshot: Snapshot, section_id: str, found: Mapping[str, SectionSummary]
) -> dict[str, Any]:
    summary = found.get(section_id)
    if summary is not None:
        return {"state": "fresh", **summary_fields(summary)}
    last = ls.known.last(snapshot, section_id)
    return {"state": "stale" if last else "missing", **summary_fields(last)}


def _uri(params: Any) -> str:
    document = params.get("textDocument") if isinstance(params, Mapping) else None
    uri = document.get("uri") if isinstance(document, Mapping) else None
    if not isinstance(uri, str):
        raise JsonRpcInvalidParams("qsum/outline needs {textDocument: {uri}}.")
    return uri
