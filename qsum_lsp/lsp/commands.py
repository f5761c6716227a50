"""The commands. Each answers with an object; ``message`` in it says what went wrong or is to be known."""

from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams

from qsum_lsp import __version__
from qsum_lsp.errors import QsumError
from qsum_lsp.logs import log_file
from qsum_lsp.lsp import edits, writing
from qsum_lsp.lsp.document_run import DocumentRun
from qsum_lsp.lsp.logs import LOG_NAME
from qsum_lsp.lsp.outline import summary_fields
from qsum_lsp.lsp.presenting import plain
from qsum_lsp.lsp.progress import work_done
from qsum_lsp.lsp.server import QsumServer
from qsum_lsp.summaries import PAGE

Answer = dict[str, Any]


async def summarize_section(ls: QsumServer, params: types.ExecuteCommandParams) -> Answer:
    """``(uri, line)``: the summary of the section at a zero-based line."""
    uri, line = _uri(params), _line(params)
    snapshot = ls.documents.get(uri)
    if snapshot is None:
        return _said(ls, writing.UNREADABLE)
    section = snapshot.section_at(line)
    if section is None:
        return _said(ls, "There is no section at this line.")
    try:
        summary = await writing.section_summary(ls, snapshot, section.id, params.work_done_token)
    except QsumError as error:
        return _said(ls, str(error))
    if summary is None:
        return {"message": writing.GIVEN_UP}
    if not ls.client.wants_summary_changes:
        ls.tell(f"{plain(section.title)}: {summary.text}" if section.title else summary.text)
    return {
        "uri": uri,
        "id": section.id,
        "title": section.title,
        "line": section.line - 1,
        **summary_fields(summary),
        "message": summary.note,
    }


async def summarize_document(ls: QsumServer, params: types.ExecuteCommandParams) -> Answer:
    """``(uri)``: summaries of all sections and of the page."""
    return await _run(ls, params)


async def refresh_summaries(ls: QsumServer, params: types.ExecuteCommandParams) -> Answer:
    """``(uri)``: new summaries where the last ones do not hold any more, and of the front matter."""
    uri = _uri(params)
    snapshot = ls.documents.get(uri)
    if snapshot is None:
        return _said(ls, writing.UNREADABLE)
    answer: Answer = {"uri": uri, "done": 0, "message": ""}
    if ls.stale(snapshot):
        answer = await _run(ls, params, only_stale=True)
    snapshot = ls.documents.latest(snapshot)
    if snapshot is None:
        return answer
    page = await ls.pages.look(snapshot, ls.settings(uri))
    if page.state == "stale":
        written = await _front_matter(ls, uri, None)
        answer |= {"applied": written["applied"], "message": answer["message"] or written["message"]}
    return answer


async def update_front_matter(ls: QsumServer, params: types.ExecuteCommandParams) -> Answer:
    """``(uri)``: the page's summary in its front matter."""
    return await _front_matter(ls, _uri(params), params.work_done_token)


async def insert_summary(ls: QsumServer, params: types.ExecuteCommandParams) -> Answer:
    """``(uri, line)``: the section's summary as a block quote below its heading."""
    written = await writing.below_heading(ls, _uri(params), _line(params), params.work_done_token)
    return await _applied(ls, written, writing.INSERT)


async def clear_cache(ls: QsumServer, params: types.ExecuteCommandParams) -> Answer:  # noqa: ARG001
    """``()``: forget all summaries, in memory and in the store that other programs use too."""
    try:
        await ls.backend.clear()
    except QsumError as error:
        return _said(ls, str(error)) | {"cleared": False}
    ls.known.forget()
    ls.lens_refresh.want()
    return {"cleared": True, "message": ""}


async def status(ls: QsumServer, params: types.ExecuteCommandParams) -> Answer:  # noqa: ARG001
    """``()``: what the server and its engine do."""
    return {
        **await ls.status(),
        **await ls.backend.figures(ls.some_settings()),
        "version": __version__,
        "documents": len(ls.documents),
        "work": len(ls.work),
        "latencies": ls.latencies.report(),
        "logFile": str(log_file(LOG_NAME)),
    }


async def _run(ls: QsumServer, params: types.ExecuteCommandParams, *, only_stale: bool = False) -> Answer:
    uri = _uri(params)
    snapshot = ls.documents.get(uri)
    if snapshot is None:
        return _said(ls, writing.UNREADABLE)
    async with work_done(ls, f"Summarizing {snapshot.name}", params.work_done_token) as progress:
        latest = ls.documents.latest(snapshot)  # the client may have taken a while to make the progress
        if latest is None:
            return {"uri": uri, "done": 0, "message": writing.GIVEN_UP}
        run = DocumentRun(ls, latest, progress, only_stale=only_stale)
        try:
            result = await ls.work.run(uri, run.complete(), progress.on_cancel)
        except QsumError as error:
            ls.failed(error)
            return _said(ls, str(error))
    if result is None:
        return {"uri": uri, "done": 0, "message": writing.GIVEN_UP}
    ls.arrived(run.snapshot, run.settings, *result.summaries.values())
    page = result.summaries.get(PAGE)
    return {
        "uri": uri,
        "version": run.snapshot.version,
        "done": len(result.summaries),
        "summary": page.text if page else None,
        "usage": {
            "promptTokens": result.usage.prompt_tokens,
            "newTokens": result.usage.new_tokens,
            "seconds": round(result.usage.seconds, 3),
        },
        "message": "",
    }


async def _front_matter(ls: QsumServer, uri: str, token: types.ProgressToken | None) -> Answer:
    written = await writing.front_matter(ls, uri, token)
    return await _applied(ls, written, writing.UPDATE)


async def _applied(ls: QsumServer, written: writing.Written, label: str) -> Answer:
    message = written.message
    applied = False
    if written.edit is not None and written.snapshot is not None:
        reason = await edits.apply(ls, written.snapshot, written.edit, label)
        applied = not reason
        message = f"{label}: {reason}." if reason else ""
    if message:
        ls.tell(message)
    return {"applied": applied, "summary": written.summary, "message": message}


def _said(ls: QsumServer, message: str) -> Answer:
    ls.tell(message)
    return {"message": message}


def _uri(params: types.ExecuteCommandParams) -> str:
    arguments = params.arguments or ()
    if not arguments or not isinstance(arguments[0], str):
        raise JsonRpcInvalidParams(f"{params.command}: the first argument must be the URI of a document.")
    return arguments[0]


def _line(params: types.ExecuteCommandParams) -> int:
    arguments = params.arguments or ()
    if len(arguments) < 2 or not isinstance(arguments[1], int) or not 0 <= arguments[1] < 2**31:
        raise JsonRpcInvalidParams(f"{params.command}: the second argument must be a zero-based line.")
    return arguments[1]
