"""Edits of documents: made for one version, and refused where the document has another by then."""

from lsprotocol import types
from pygls.exceptions import JsonRpcException

from qsum_lsp.document import Section
from qsum_lsp.document.inserted_summary import LABEL, find_inserted_summary
from qsum_lsp.document.lines import LINE_END
from qsum_lsp.front_matter import TextEdit
from qsum_lsp.lsp.documents import Snapshot
from qsum_lsp.lsp.presenting import page_markdown
from qsum_lsp.lsp.server import QsumServer


def insertion(snapshot: Snapshot, section: Section, summary: str) -> TextEdit:
    """The edit that puts ``summary`` below the heading as a block quote, in place of an earlier one."""
    text = snapshot.text
    quote = f"> {LABEL} {page_markdown(summary)}"
    earlier = find_inserted_summary(text, section.content_start, section.own_end)
    if earlier is not None:
        return TextEdit(*earlier, quote)
    first = LINE_END.search(text)
    newline = first.group() if first else "\n"
    place = section.content_start
    before = newline if text.endswith(("\n", "\r"), 0, place) else 2 * newline
    following = LINE_END.match(text, place)
    after = newline if following or place == len(text) else 2 * newline
    return TextEdit(place, place, before + quote + after)


def workspace_edit(ls: QsumServer, snapshot: Snapshot, edit: TextEdit) -> types.WorkspaceEdit:
    """``edit`` for the version of ``snapshot``."""
    change = types.TextEdit(
        range=ls.positions(snapshot.lines).range(edit.start, edit.end), new_text=edit.new_text
    )
    if not ls.client.takes_versioned_edits:
        return types.WorkspaceEdit(changes={snapshot.uri: [change]})
    document = types.OptionalVersionedTextDocumentIdentifier(uri=snapshot.uri, version=snapshot.version)
    return types.WorkspaceEdit(
        document_changes=[types.TextDocumentEdit(text_document=document, edits=[change])]
    )


def is_current(ls: QsumServer, snapshot: Snapshot) -> bool:
    """Whether the document still is as ``snapshot`` has it."""
    now = ls.documents.get(snapshot.uri)
    return now is not None and now.version == snapshot.version and now.text == snapshot.text


async def apply(ls: QsumServer, snapshot: Snapshot, edit: TextEdit, label: str) -> str:
    """Have the client apply ``edit`` as one step; the reason where it does not, else nothing."""
    if not ls.client.applies_edits:
        return "this editor does not let a server edit documents"
    if not is_current(ls, snapshot):
        return "the document was changed meanwhile; nothing was edited"
    try:
        answer = await ls.workspace_apply_edit_async(
            types.ApplyWorkspaceEditParams(label=label, edit=workspace_edit(ls, snapshot, edit))
        )
    except JsonRpcException as error:
        return f"the editor did not apply the edit ({error})"
    if answer.applied:
        return ""
    return answer.failure_reason or "the editor did not apply the edit"
