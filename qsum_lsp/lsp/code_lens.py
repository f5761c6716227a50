"""Code lenses: over each heading its summary's first words. Ranges at once, titles when a lens comes into view."""

from typing import Any

from lsprotocol import types

from qsum_lsp.lsp.documents import Snapshot
from qsum_lsp.lsp.presenting import first_words
from qsum_lsp.lsp.protocol import PlainJson
from qsum_lsp.lsp.server import QsumServer


async def code_lenses(ls: QsumServer, params: types.CodeLensParams) -> PlainJson:
    """A lens over each heading, without title."""
    with ls.latencies.measured("codeLens"):
        snapshot = ls.documents.get(params.text_document.uri)
        if snapshot is None:
            return PlainJson.of([])
        return PlainJson(_lenses(snapshot, ls.documents.number(snapshot.uri)))


async def resolve_code_lens(ls: QsumServer, lens: types.CodeLens) -> PlainJson:
    """The title of one lens; from the store alone."""
    with ls.latencies.measured("codeLens/resolve"):
        line = lens.range.start.line
        uri, section_id = _named(ls, lens.data)
        snapshot = ls.documents.get(uri)
        section = snapshot.section(section_id) if snapshot else None
        title = "Summarize"
        if snapshot is not None and section is not None:
            ls.seen.add(uri, section_id)
            title = _title(ls, snapshot, section_id)
            line = section.line - 1
        command = {"title": title, "command": "qsum.summarizeSection", "arguments": [uri, line]}
        return PlainJson.of({"range": _line(lens.range.start.line), "command": command, "data": lens.data})


def _title(ls: QsumServer, snapshot: Snapshot, section_id: str) -> str:
    summary = ls.look_up(snapshot, section_id)
    if summary is not None:
        return first_words(summary.text) or "Empty section"
    if section_id in ls.work.ids(snapshot.uri):
        return "Summarizing…"
    last = ls.known.last(snapshot, section_id)
    return f"Outdated: {first_words(last.text)}" if last is not None else "Summarize"


def _lenses(snapshot: Snapshot, number: int) -> bytes:
    """The list as JSON, which a page of thousands of sections needs at each key: short, and without a detour."""
    return (
        b"[%b]"
        % ",".join(
            [
                f'{{"range":{{"start":{{"line":{section.line - 1},"character":0}},'
                f'"end":{{"line":{section.line - 1},"character":0}}}},"data":[{number},"{section.id}"]}}'
                for section in snapshot.document.walk()
                if section.level > 0
            ]
        ).encode()
    )


def _named(ls: QsumServer, data: Any) -> tuple[str, str]:
    """The document and the section of a lens; empty where it is none of ours."""
    match data:
        case [int(number), str(section_id)]:
            return ls.documents.numbered(number), section_id
        case _:
            return "", ""


def _line(line: int) -> dict[str, Any]:
    position = {"line": line, "character": 0}
    return {"start": position, "end": position}
