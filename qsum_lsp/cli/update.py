"""``qsum update``: stale and missing summaries, written into front matter."""

import asyncio
import difflib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click

from qsum_lsp.cli.found import find_pages
from qsum_lsp.cli.models import pull_with_progress
from qsum_lsp.cli.options import Overrides, engine_options, paths_argument
from qsum_lsp.cli.page_reports import OutputFormat, output_options, print_report, print_totals
from qsum_lsp.cli.progress import Progress
from qsum_lsp.cli.terminal import printable, say_error, shown_path
from qsum_lsp.document import Document
from qsum_lsp.errors import EngineUnavailable, FileError
from qsum_lsp.front_matter.check import CheckedPage, check_page
from qsum_lsp.front_matter.edit import check_key
from qsum_lsp.front_matter.llms_txt import LlmsTxt
from qsum_lsp.front_matter.neighbours import Neighbours
from qsum_lsp.front_matter.report import PageReport, exit_code
from qsum_lsp.front_matter.update import UpdatedPage, is_due, update_page
from qsum_lsp.home import store_path
from qsum_lsp.service import Service, model_to_pull, summary_options
from qsum_lsp.settings import Settings
from qsum_lsp.store import Store
from qsum_lsp.summaries import PAGE, SectionSummary

_PAGES_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the options of one run ask for."""

    output_format: OutputFormat
    diff: bool
    force: bool


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
    choices = Choices(output_format="json" if as_json else output_format, diff=diff, force=force)
    overrides = Overrides.of(key=key, engine=engine, model=model, strategy=strategy)
    listing = LlmsTxt(llms_txt) if llms_txt is not None else None
    return asyncio.run(Run(choices, listing).update(find_pages(paths, overrides)))


class Run:
    """One run over many pages: several are under way at once, and they are reported in order."""

    def __init__(self, choices: Choices, listing: LlmsTxt | None) -> None:
        self._choices = choices
        self._listing = listing
        self._neighbours = Neighbours()
        self._reports: list[PageReport] = []
        self._no_engine: EngineUnavailable | None = None
        self._pulled: set[str] = set()

    async def update(self, pages: Iterator[tuple[Path, Settings] | FileError]) -> int:
        """Update ``pages``; the exit code."""
        async with Service(Store(store_path())) as service:
            with Progress() as progress:
                running: list[asyncio.Task[UpdatedPage | PageReport]] = []
                try:
                    for found in pages:
                        running.append(asyncio.create_task(self._one(found, service, progress)))
                        if len(running) == _PAGES_AT_ONCE:
                            await self._deliver(running.pop(0), progress)
                    while running:
                        await self._deliver(running.pop(0), progress)
                finally:
                    for task in running:
                        task.cancel()
        if self._listing is not None and not self._choices.diff:
            self._write_listing(self._listing)
        print_totals(self._reports, self._choices.output_format)
        if self._no_engine is not None:
            say_error(self._no_engine)
            return self._no_engine.exit_code
        return exit_code(self._reports)

    async def _one(
        self, found: tuple[Path, Settings] | FileError, service: Service, progress: Progress
    ) -> UpdatedPage | PageReport:
        if isinstance(found, FileError):
            return PageReport(path="", error=found)
        path, settings = found
        checked = check_page(path, settings, self._neighbours, shown=shown_path(path))
        if not is_due(checked, force=self._choices.force):
            return self._listed(checked, checked.report)
        if self._no_engine is None:
            try:
                return await self._make(checked, settings, service, progress)
            except EngineUnavailable as error:
                self._no_engine = self._no_engine or error
        return self._listed(checked, replace(checked.report, note="not updated: there is no engine"))

    async def _make(
        self, checked: CheckedPage, settings: Settings, service: Service, progress: Progress
    ) -> UpdatedPage:
        summarizer = service.summarizer(settings)

        async def summarize(document: Document, max_chars: int, style: str) -> SectionSummary | None:
            options = replace(summary_options(settings), page_max_chars=max_chars, page_style=style)
            if PAGE not in summarizer.lookup(document, options).summaries:
                self._pull_model(settings, progress)
            result = await summarizer.summarize(
                document, options, only=(PAGE,), on_progress=progress.of(checked.report.path)
            )
            return result.summaries.get(PAGE)

        updated = await update_page(
            checked, settings, self._neighbours, summarize, dry_run=self._choices.diff
        )
        self._listed(checked, updated.report)
        return updated

    def _pull_model(self, settings: Settings, progress: Progress) -> None:
        """Download what the engine needs and is not here yet. Raises EngineUnavailable where it is not to be had."""
        model = model_to_pull(settings)
        if model is not None and model not in self._pulled:
            with progress.paused():
                pull_with_progress(model)
            self._pulled.add(model)

    def _listed(self, checked: CheckedPage, report: PageReport) -> PageReport:
        if self._listing is not None and checked.page is not None:
            self._listing.add(checked.path, checked.page, report.summary)
        return report

    async def _deliver(self, task: asyncio.Task[UpdatedPage | PageReport], progress: Progress) -> None:
        result = await task
        report = result.report if isinstance(result, UpdatedPage) else result
        self._reports.append(report)
        with progress.paused():
            print_report(report, self._choices.output_format, updating=True)
            if (
                self._choices.diff
                and isinstance(result, UpdatedPage)
                and self._choices.output_format != "json"
            ):
                _print_diff(result)

    def _write_listing(self, listing: LlmsTxt) -> None:
        try:
            written = listing.write(force=self._choices.force)
        except FileError as error:
            report = PageReport(path=shown_path(listing.path), error=error)
        else:
            if not written:
                return
            report = PageReport(path=shown_path(listing.path), state="stale", written=True)
        self._reports.append(report)
        print_report(report, self._choices.output_format, updating=True)


def _print_diff(updated: UpdatedPage) -> None:
    path = updated.report.path
    lines = difflib.unified_diff(
        updated.before.splitlines(keepends=False),
        updated.after.splitlines(keepends=False),
        path,
        path,
        lineterm="",
        n=2,
    )
    for line in lines:
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        click.echo(click.style(printable(line), fg=colour))
