"""``qsum update``: stale and missing summaries, written into front matter."""

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from qsum_lsp.cli.due import Choices, DuePage
from qsum_lsp.cli.found import find_pages
from qsum_lsp.cli.options import Overrides, engine_options, paths_argument
from qsum_lsp.cli.page_reports import OutputFormat, output_options, print_report, print_totals
from qsum_lsp.cli.root import called_by_hook
from qsum_lsp.cli.terminal import say_error, shown_path
from qsum_lsp.errors import FileError, UsageError
from qsum_lsp.files import PAGE_SUFFIXES
from qsum_lsp.front_matter.check import CheckedPage, check_page, is_due
from qsum_lsp.front_matter.edit import check_key
from qsum_lsp.front_matter.neighbours import Neighbours
from qsum_lsp.front_matter.report import PageReport, exit_code
from qsum_lsp.settings import Settings

if TYPE_CHECKING:
    from qsum_lsp.front_matter.llms_txt import LlmsTxt


@click.command()
@paths_argument
@output_options
@click.option("--diff", is_flag=True, help="Show what would change; write nothing.")
@click.option("--force", is_flag=True, help="Replace summaries that people wrote or edited, too.")
@click.option("--key", metavar="K", help="The front-matter key of the summary.")
@click.option(
    "--llms-txt",
    is_flag=False,
    flag_value="llms.txt",
    metavar="[FILE]",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the pages' titles and summaries to FILE (llms.txt).",
)
@engine_options
def update(
    paths: tuple[Path, ...],
    output_format: OutputFormat,
    as_json: bool,
    diff: bool,
    force: bool,
    key: str | None,
    llms_txt: Path | None,
    engine: str | None,
    model: str | None,
    strategy: str | None,
) -> int:
    """Write stale and missing summaries into the pages' front matter.

    Nothing but the line of the summary changes, and a second run changes nothing. Summaries that people wrote
    or edited stay. The exit code is 1 where a page was changed.
    """
    if key is not None:
        check_key(key)
    if llms_txt is not None and called_by_hook() and not any(os.path.isdir(path) for path in paths):
        raise UsageError(
            "a hook is given the pages of one commit, and --llms-txt would list no others; "
            "write pass_filenames: false and args: [--llms-txt=llms.txt, docs/]."
        )
    choices = Choices(output_format="json" if as_json else output_format, diff=diff, force=force)
    overrides = Overrides.of(key=key, engine=engine, model=model, strategy=strategy)
    return Run(choices, _listing(llms_txt)).update(find_pages(paths, overrides))


class Run:
    """One run over many pages, which are reported in order."""

    def __init__(self, choices: Choices, listing: "LlmsTxt | None") -> None:
        self._choices = choices
        self._listing = listing
        self._neighbours = Neighbours()
        self._reports: list[PageReport] = []

    def update(self, pages: Iterator[tuple[Path, Settings] | FileError]) -> int:
        """Update ``pages``; the exit code."""
        no_engine = None
        found = self._look_at(pages)
        for page in found:
            if isinstance(page, DuePage):
                # Most commits leave every summary fresh, and need not wait for the imports of what makes them.
                import asyncio

                from qsum_lsp.cli.updating import DuePages

                due = DuePages(self._neighbours, self._choices, listed=self._listed, deliver=self._deliver)
                no_engine = asyncio.run(due.update(chain([page], found)))
                break
            self._deliver(page)
        if self._listing is not None and not self._choices.diff:
            self._write_listing(self._listing)
        print_totals(self._reports, self._choices.output_format)
        if no_engine is not None:
            say_error(no_engine)
            # What was changed or has failed stops a commit; an engine that is missing need not.
            to_stop = any(report.written or report.error is not None for report in self._reports)
            if not (called_by_hook() and to_stop):
                return no_engine.exit_code
        return exit_code(self._reports)

    def _look_at(self, pages: Iterator[tuple[Path, Settings] | FileError]) -> Iterator[DuePage | PageReport]:
        for found in pages:
            if isinstance(found, FileError):
                yield PageReport(path="", error=found)
                continue
            path, settings = found
            checked = check_page(path, settings, self._neighbours, shown=shown_path(path))
            if is_due(checked, force=self._choices.force):
                yield DuePage(checked, settings)
            else:
                self._listed(checked, checked.report)
                yield checked.report

    def _listed(self, checked: CheckedPage, report: PageReport) -> None:
        if self._listing is not None and checked.page is not None:
            self._listing.add(checked.path, checked.page, report.summary)

    def _deliver(self, report: PageReport) -> None:
        self._reports.append(report)
        print_report(report, self._choices.output_format, updating=True)

    def _write_listing(self, listing: "LlmsTxt") -> None:
        try:
            written = listing.write(force=self._choices.force)
        except FileError as error:
            self._deliver(PageReport(path=shown_path(listing.path), error=error))
        else:
            if written:
                self._deliver(PageReport(path=shown_path(listing.path), state="stale", written=True))


def _listing(path: Path | None) -> "LlmsTxt | None":
    if path is None:
        return None
    # the option takes a page that stands behind it for its FILE
    if path.name.lower().endswith(PAGE_SUFFIXES):
        raise UsageError(
            f"--llms-txt would overwrite the page {shown_path(path)}; write --llms-txt=llms.txt before the pages."
        )
    from qsum_lsp.front_matter.llms_txt import LlmsTxt

    return LlmsTxt(path)
