"""Updating one page on disk: a summary in its site's style, written into its front matter."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from qsum_lsp.document import Document, parse
from qsum_lsp.errors import FileError, UsageError
from qsum_lsp.files.replace import replace_file
from qsum_lsp.front_matter.check import CheckedPage, failed
from qsum_lsp.front_matter.edit import check_key, set_summary
from qsum_lsp.front_matter.errors import FrontMatterError
from qsum_lsp.front_matter.neighbours import Neighbours
from qsum_lsp.front_matter.page import Page
from qsum_lsp.front_matter.report import PageReport
from qsum_lsp.front_matter.style import PageStyle
from qsum_lsp.front_matter.whole import whole_sentence
from qsum_lsp.settings import Settings
from qsum_lsp.summaries.values import SectionSummary
from qsum_lsp.text.extract import CUT

Summarize = Callable[[Document, PageStyle], Awaitable[SectionSummary | None]]
"""A document and how its site writes, to the page's summary."""

_NO_LIMIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatedPage:
    """The report, and the page's text before and after."""

    report: PageReport
    before: str
    after: str


async def update_page(
    checked: CheckedPage,
    settings: Settings,
    neighbours: Neighbours,
    summarize: Summarize,
    *,
    dry_run: bool = False,
) -> UpdatedPage:
    """Summarise a page that is due and write it, unless ``dry_run``. Errors with the file are in the report.

    Raises UsageError where the setting ``key`` is no plain name.
    """
    page, report = checked.page, checked.report
    if page is None:
        raise ValueError("a page that could not be read is not due")
    try:
        check_key(report.key)
    except UsageError as error:
        if settings.key is not None:
            raise
        # The key is where this page's own marker stands; the other pages have theirs.
        unfit = FrontMatterError(str(error).removesuffix("."), line=report.line)
        return UpdatedPage(report=failed(report.path, unfit), before=page.text, after=page.text)
    style = neighbours.style(checked.path, page, report.key, settings)
    document = parse(page.text)
    made = await summarize(document, style)
    text = made.text if made else ""
    if text.endswith(CUT):
        # A limit that neighbours suggest may be passed by a whole sentence; the user's own may not.
        limits = (
            (style.max_chars,) if settings.max_chars else (style.max_chars, 2 * style.max_chars, _NO_LIMIT)
        )
        text = whole_sentence(document, limits)
    text = style.finish(text)
    if not text:
        note = f"no summary of whole sentences fits {style.max_chars} characters"
        return UpdatedPage(report=replace(report, note=note), before=page.text, after=page.text)
    try:
        after = set_summary(page.text, key=report.key, summary=text, style=style.line)
        if not dry_run:
            _write(checked.path, page, after, neighbours)
    except FrontMatterError as error:
        return UpdatedPage(report=failed(report.path, error), before=page.text, after=page.text)
    except FileError as error:
        return UpdatedPage(report=replace(report, error=error), before=page.text, after=page.text)
    done = replace(report, written=True, summary=text, note=made.note if made else "")
    return UpdatedPage(report=done, before=page.text, after=after)


def _write(path: Path, page: Page, after: str, neighbours: Neighbours) -> None:
    replace_file(
        path,
        after.encode("utf-8"),
        expected=page.text.encode("utf-8"),
        tree=neighbours.site(path).root,
    )
