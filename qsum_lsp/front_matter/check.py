"""Checking pages on disk: no model, no cache, no network."""

from dataclasses import dataclass
from pathlib import Path

from qsum_lsp.errors import FileError
from qsum_lsp.files import read_text
from qsum_lsp.front_matter.errors import FrontMatterError
from qsum_lsp.front_matter.neighbours import Neighbours
from qsum_lsp.front_matter.page import Page, State, read_page
from qsum_lsp.front_matter.prose import has_prose
from qsum_lsp.front_matter.report import TO_DO, PageReport
from qsum_lsp.settings import Settings

_OF_TEXT_THAT_IS_GONE = "the summary is of text that is gone; delete it"
_FORCED: frozenset[State] = frozenset({"human", "edited"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPage:
    """A page that was read, and what there is to say of it. ``page`` is None where it could not be read."""

    path: Path
    page: Page | None
    report: PageReport


def check_page(path: Path, settings: Settings, neighbours: Neighbours, *, shown: str) -> CheckedPage:
    """Read ``path`` and tell the state of its summary; errors are in the report, which calls the file ``shown``."""
    try:
        page = read_page(read_text(path))
        key = neighbours.key(path, page, settings)
        entry = page.entry(key)
        state = page.state(key)
        summary = (entry.text or "") if entry else ""
        report = PageReport(
            path=shown,
            key=key,
            state=state,
            summary=summary,
            line=page.line(entry.start) if entry else 1,
            note=_OF_TEXT_THAT_IS_GONE if state == "empty" and summary else "",
        )
    except FrontMatterError as error:
        return CheckedPage(path=path, page=None, report=failed(shown, error))
    except FileError as error:
        return CheckedPage(path=path, page=None, report=PageReport(path=shown, error=error))
    return CheckedPage(path=path, page=page, report=report)


def is_due(checked: CheckedPage, *, force: bool) -> bool:
    """Is the page to be given a new summary?"""
    state = checked.report.state
    if state in TO_DO:
        return True
    return force and state in _FORCED and checked.page is not None and has_prose(checked.page.body)


def failed(shown: str, error: FrontMatterError) -> PageReport:
    """The report on front matter that cannot be read or written."""
    return PageReport(path=shown, line=error.line, error=FileError(f"{shown}:{error.line}: {error.reason}."))
