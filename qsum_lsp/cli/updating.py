"""The pages of ``qsum update`` that are due: several are under way at once, and they come in order."""

import asyncio
import difflib
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import click

from qsum_lsp.cli.due import Choices, DuePage
from qsum_lsp.cli.models import pull_with_progress
from qsum_lsp.cli.progress import Progress
from qsum_lsp.cli.terminal import printable
from qsum_lsp.document import Document
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.front_matter.check import CheckedPage
from qsum_lsp.front_matter.neighbours import Neighbours
from qsum_lsp.front_matter.report import PageReport
from qsum_lsp.front_matter.style import PageStyle
from qsum_lsp.front_matter.update import UpdatedPage, update_page
from qsum_lsp.home import store_path
from qsum_lsp.service import Service, model_to_pull, summary_options
from qsum_lsp.settings import Settings
from qsum_lsp.store import Store
from qsum_lsp.summaries import PAGE, SectionSummary

_PAGES_AT_ONCE = 8

Deliver = Callable[[PageReport], None]
Listed = Callable[[CheckedPage, PageReport], None]


class DuePages:
    """Updates pages; ``listed`` hears of each that is done with, ``deliver`` prints the reports in order."""

    def __init__(self, neighbours: Neighbours, choices: Choices, *, listed: Listed, deliver: Deliver) -> None:
        self._neighbours = neighbours
        self._choices = choices
        self._listed = listed
        self._deliver = deliver
        self._no_engine: EngineUnavailable | None = None
        self._pulled: set[str] = set()

    async def update(self, pages: Iterator[DuePage | PageReport]) -> EngineUnavailable | None:
        """Update ``pages``, reports among which are passed on in their place; why there was no engine."""
        async with Service(Store(store_path())) as service:
            with Progress() as progress:
                running: list[asyncio.Task[UpdatedPage | PageReport]] = []
                try:
                    for page in pages:
                        running.append(asyncio.create_task(self._one(page, service, progress)))
                        if len(running) == _PAGES_AT_ONCE:
                            self._show(await running.pop(0), progress)
                    while running:
                        self._show(await running.pop(0), progress)
                finally:
                    for task in running:
                        task.cancel()
        return self._no_engine

    async def _one(
        self, page: DuePage | PageReport, service: Service, progress: Progress
    ) -> UpdatedPage | PageReport:
        if isinstance(page, PageReport):
            return page
        if self._no_engine is None:
            try:
                return await self._make(page.checked, page.settings, service, progress)
            except EngineUnavailable as error:
                self._no_engine = self._no_engine or error
        report = replace(page.checked.report, note="not updated: there is no engine")
        self._listed(page.checked, report)
        return report

    async def _make(
        self, checked: CheckedPage, settings: Settings, service: Service, progress: Progress
    ) -> UpdatedPage:
        summarizer = service.summarizer(settings)

        async def summarize(document: Document, style: PageStyle) -> SectionSummary | None:
            options = style.options(summary_options(settings))
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
            with progress.paused(), _interruptible():
                pull_with_progress(model)
            self._pulled.add(model)

    def _show(self, result: UpdatedPage | PageReport, progress: Progress) -> None:
        with progress.paused():
            self._deliver(result.report if isinstance(result, UpdatedPage) else result)
            if (
                self._choices.diff
                and isinstance(result, UpdatedPage)
                and self._choices.output_format != "json"
            ):
                _print_diff(result)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends what blocks the event loop; asyncio would only cancel what next waits for the loop."""
    of_asyncio = signal.getsignal(signal.SIGINT)
    if not callable(of_asyncio):  # ignored, as for what runs in the background
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, of_asyncio)


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
