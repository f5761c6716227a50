"""Summaries written into documents: below a heading, and in the front matter. Made here, applied elsewhere."""

from dataclasses import dataclass

from qsum_lsp.engines.protocol import Priority
from qsum_lsp.errors import QsumError
from qsum_lsp.front_matter import State, TextEdit, minimal_edit
from qsum_lsp.lsp.documents import Snapshot
from qsum_lsp.lsp.edits import insertion, is_current
from qsum_lsp.lsp.presenting import plain
from qsum_lsp.lsp.progress import work_done
from qsum_lsp.lsp.server import QsumServer
from qsum_lsp.summaries import SectionSummary

INSERT = "Insert summary below heading"
UPDATE = "Update summary in front matter"
"""What the edits are called, where they are offered and where they can be undone."""

UNREADABLE = "The document is not open and cannot be read."
CHANGED = "The document was changed meanwhile; nothing was edited. Run it again."
GIVEN_UP = "No summary was made: it was cancelled, or the document was closed."

_STREAMED_CHARS = 120

_STATES: dict[State | None, str] = {
    "fresh": "The summary is up to date.",
    "edited": "The summary was edited by a person and is left as it is.",
    "human": "The summary was written by a person and is left as it is.",
    "empty": "The page has no text to summarise.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An edit for ``snapshot``; None where there is none, and then ``message`` says why."""

    snapshot: Snapshot | None = None
    edit: TextEdit | None = None
    summary: str = ""
    message: str = ""


async def section_summary(
    ls: QsumServer, snapshot: Snapshot, section_id: str, token: int | str | None = None
) -> SectionSummary | None:
    """The summary of one section, with progress; None where the user gave it up. Raises QsumError."""
    known = ls.look_up(snapshot, section_id)
    if known is not None:
        return known
    section = snapshot.section(section_id)
    title = plain(section.title) if section else snapshot.name
    async with work_done(ls, f"Summarizing “{title}”", token) as progress:
        latest = ls.documents.latest(snapshot)  # the client may have taken a while to make the progress
        if latest is None or snapshot.text_of(section_id) not in latest.text:
            return None
        work = ls.work.section(snapshot, section_id, Priority.HOVER)
        work.listeners.append(lambda text: progress.report(plain(text)[-_STREAMED_CHARS:]))
        return await ls.work.run(snapshot.uri, work.result(None), progress.on_cancel)


async def below_heading(  # noqa: PLR0911 — one return for each reason
    ls: QsumServer, uri: str, line: int, token: int | str | None = None
) -> Written:
    """The summary of the section at a zero-based line, as a quote below its heading."""
    snapshot = ls.documents.get(uri)
    if snapshot is None:
        return Written(message=UNREADABLE)
    section = snapshot.section_at(line)
    if section is None or section.level == 0:
        return Written(message="There is no heading above this line.")
    try:
        summary = await section_summary(ls, snapshot, section.id, token)
    except QsumError as error:
        return Written(message=str(error))
    if summary is None:
        return Written(message=GIVEN_UP)
    if not summary.text:
        return Written(message="The section has no text to summarise.")
    if not is_current(ls, snapshot):
        return Written(message=CHANGED)
    return Written(snapshot=snapshot, edit=insertion(snapshot, section, summary.text), summary=summary.text)


async def front_matter(  # noqa: PLR0911 — one return for each reason
    ls: QsumServer, uri: str, token: int | str | None = None
) -> Written:
    """The page's summary in its front matter, where it is stale or missing."""
    snapshot = ls.documents.get(uri)
    if snapshot is None:
        return Written(message=UNREADABLE)
    settings = ls.settings(uri)
    page = await ls.pages.look(snapshot, settings)
    if page.error:
        return Written(message=f"The front matter cannot be edited: {page.error}.")
    if not page.is_due:
        return Written(message=_STATES[page.state], summary=page.checked.report.summary)
    async with work_done(ls, f"Summarizing {snapshot.name}", token) as progress:
        if not is_current(ls, snapshot):
            return Written(message=CHANGED)
        making = ls.backend.update_page(page.checked, settings, ls.pages.neighbours)
        try:
            updated = await ls.work.run(uri, making, progress.on_cancel)
        except QsumError as error:
            ls.failed(error)
            return Written(message=str(error))
    if updated is None:
        return Written(message=GIVEN_UP)
    report = updated.report
    if report.error is not None or not report.written:
        return Written(message=str(report.error or report.note))
    if not is_current(ls, snapshot):
        return Written(message=CHANGED)
    edit = minimal_edit(updated.before, updated.after)
    return Written(snapshot=snapshot, edit=edit, summary=report.summary)
