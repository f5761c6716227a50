"""Code actions. Edits are made when an action is chosen, where the client can wait for that."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lsprotocol import types

from qsum_lsp.lsp import diagnostics, writing
from qsum_lsp.lsp.action_kinds import SUMMARIZE
from qsum_lsp.lsp.documents import Snapshot
from qsum_lsp.lsp.edits import workspace_edit
from qsum_lsp.lsp.page_summaries import PageSummary
from qsum_lsp.lsp.server import QsumServer

_CODES = (diagnostics.STALE, diagnostics.MISSING)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    title: str
    kind: str
    command: str
    arguments: list[Any]
    has_edit: bool = False
    fixes: Sequence[types.Diagnostic] = ()


async def code_actions(
    ls: QsumServer, params: types.CodeActionParams
) -> list[types.CodeAction | types.Command]:
    """What can be done at a line of a document."""
    with ls.latencies.measured("codeAction"):
        snapshot = ls.documents.get(params.text_document.uri)
        if snapshot is None:
            return []
        page = await ls.pages.look_soon(snapshot, ls.settings(snapshot.uri))
        offers = _offers(ls, snapshot, page, params)
        if params.context.only is not None:
            offers = [
                offer for offer in offers if any(_is_of(offer.kind, only) for only in params.context.only)
            ]
        return [_action(ls, snapshot, offer) for offer in offers]


async def resolve_code_action(ls: QsumServer, action: types.CodeAction) -> types.CodeAction:
    """The action with its edit; without one, and with a message, where there can be none."""
    data = action.data if isinstance(action.data, dict) else {}
    uri, line = data.get("uri"), data.get("line")
    if not isinstance(uri, str):
        return action
    snapshot = ls.documents.get(uri)
    if snapshot is not None and snapshot.version != data.get("version"):
        ls.tell(writing.CHANGED)  # the line that it was offered for may be another by now
        return action
    if data.get("command") == "qsum.updateFrontMatter":
        written = await writing.front_matter(ls, uri)
    elif isinstance(line, int):
        written = await writing.below_heading(ls, uri, line)
    else:
        return action
    if written.edit is None or written.snapshot is None:
        ls.tell(written.message)
    else:
        action.edit = workspace_edit(ls, written.snapshot, written.edit)
    return action


def _offers(
    ls: QsumServer, snapshot: Snapshot, page: PageSummary, params: types.CodeActionParams
) -> list[_Offer]:
    uri, line = snapshot.uri, params.range.start.line
    section = snapshot.section_at(line)
    hints = [
        hint
        for hint in params.context.diagnostics
        if hint.source == diagnostics.SOURCE and hint.code in _CODES
    ]
    offers = []
    if page.is_due:
        offers.append(
            _Offer(
                title=writing.UPDATE,
                kind=types.CodeActionKind.QuickFix if hints else types.CodeActionKind.RefactorRewrite,
                command="qsum.updateFrontMatter",
                arguments=[uri],
                has_edit=True,
                fixes=hints,
            )
        )
    if section is not None:
        offers.append(
            _Offer(
                title="Summarize section",
                kind=SUMMARIZE,
                command="qsum.summarizeSection",
                arguments=[uri, line],
            )
        )
    if snapshot.document.sections:
        offers.append(
            _Offer(
                title="Summarize document", kind=SUMMARIZE, command="qsum.summarizeDocument", arguments=[uri]
            )
        )
    if section is not None and section.level > 0:
        offers.append(
            _Offer(
                title=writing.INSERT,
                kind=types.CodeActionKind.RefactorRewrite,
                command="qsum.insertSummary",
                arguments=[uri, line],
                has_edit=True,
            )
        )
    if ls.has_stale(snapshot) or page.state == "stale":
        offers.append(
            _Offer(
                title="Refresh stale summaries",
                kind=SUMMARIZE,
                command="qsum.refreshSummaries",
                arguments=[uri],
            )
        )
    return offers


def _action(ls: QsumServer, snapshot: Snapshot, offer: _Offer) -> types.CodeAction | types.Command:
    command = types.Command(title=offer.title, command=offer.command, arguments=offer.arguments)
    if not ls.client.takes_code_actions:
        return command
    action = types.CodeAction(title=offer.title, kind=offer.kind)
    if offer.fixes:
        action.diagnostics = list(offer.fixes)
        action.is_preferred = True
    if offer.has_edit and ls.client.resolves_edits:
        uri, *line = offer.arguments
        action.data = {
            "command": offer.command,
            "uri": uri,
            "line": line[0] if line else None,
            "version": snapshot.version,
        }
    else:
        action.command = command
    return action


def _is_of(kind: str, wanted: str) -> bool:
    kind, wanted = (str(getattr(one, "value", one)) for one in (kind, wanted))
    return not wanted or kind == wanted or kind.startswith(wanted + ".")
