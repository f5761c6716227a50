"""``qsum summarize``: a page and its sections, summarised."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from qsum_lsp.cli.missing_models import pull_missing_models
from qsum_lsp.cli.options import Overrides, engine_options, json_option, paths_argument
from qsum_lsp.cli.outline import section_object
from qsum_lsp.cli.pages import Page, read_pages
from qsum_lsp.cli.progress import Progress
from qsum_lsp.cli.terminal import printable, say_error, shown_path, wrapped
from qsum_lsp.document import Document, Section
from qsum_lsp.document.page_title import page_title
from qsum_lsp.errors import FileError, UsageError
from qsum_lsp.home import store_path
from qsum_lsp.service import Service, summary_options
from qsum_lsp.store import NoStore, Store
from qsum_lsp.summaries import PAGE, DocumentSummary, Summarizer, TextStore

_PAGES_AT_ONCE = 8


@click.command()
@paths_argument
@json_option
@click.option(
    "--line",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only the section that holds line N of the one PATH.",
)
@engine_options
@click.option("--no-cache", is_flag=True, help="Make every summary anew and keep none.")
def summarize(
    paths: tuple[Path, ...],
    as_json: bool,
    line: int | None,
    engine: str | None,
    model: str | None,
    strategy: str | None,
    no_cache: bool,
) -> int:
    """Summarise pages and each of their sections; `-` is standard input.

    Results go to standard output, progress to standard error. What is interrupted keeps what was finished.
    """
    if line is not None and len(paths) != 1:
        raise UsageError("--line needs exactly one PATH.")
    pages = list(read_pages(paths, Overrides.of(engine=engine, model=model, strategy=strategy)))
    store = NoStore() if no_cache else Store(store_path())
    pull_missing_models((page for page in pages if isinstance(page, Page)), store)
    return asyncio.run(_summarize(pages, store, line=line, as_json=as_json))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A page, what makes its summaries, and which sections are wanted (all where None)."""

    page: Page
    summarizer: Summarizer
    section: Section | None

    @property
    def wanted(self) -> tuple[Section, ...]:
        return tuple(self.page.document.walk()) if self.section is None else (self.section,)


async def _summarize(
    pages: Iterable[Page | FileError], store: TextStore, *, line: int | None, as_json: bool
) -> int:
    exit_code = 0
    async with Service(store) as service:
        with Progress() as progress:
            running: list[tuple[_Job, asyncio.Task[DocumentSummary]]] = []
            try:
                for page in pages:
                    if isinstance(page, FileError):
                        say_error(page)
                        exit_code = page.exit_code
                        continue
                    job = _Job(
                        page=page,
                        summarizer=service.summarizer(page.settings),
                        section=None if line is None else _section_at(page, line),
                    )
                    running.append((job, asyncio.create_task(_run(job, progress))))
                    if len(running) == _PAGES_AT_ONCE:
                        await _deliver(*running.pop(0), progress, as_json=as_json)
                while running:
                    await _deliver(*running.pop(0), progress, as_json=as_json)
            finally:
                for _, task in running:
                    task.cancel()
    return exit_code


async def _run(job: _Job, progress: Progress) -> DocumentSummary:
    return await job.summarizer.summarize(
        job.page.document,
        summary_options(job.page.settings),
        only=None if job.section is None else (job.section.id,),
        on_progress=progress.of(shown_path(job.page.path)),
    )


async def _deliver(
    job: _Job, task: asyncio.Task[DocumentSummary], progress: Progress, *, as_json: bool
) -> None:
    result = await task
    lines = [json.dumps(summary_object(job, result), ensure_ascii=False)] if as_json else _text(job, result)
    with progress.paused():
        for text in lines:
            click.echo(text)


def _section_at(page: Page, line: int) -> Section:
    document: Document = page.document
    section = document.section_at(line)
    if section is not None:
        return section
    block = document.front_matter
    if block is not None and line <= block.end_line:
        raise UsageError(f"{shown_path(page.path)}: line {line} is in the front matter.")
    raise UsageError(f"{shown_path(page.path)}: there is no section at line {line}.")


def summary_object(job: _Job, result: DocumentSummary) -> dict[str, Any]:
    """What ``--json`` prints for one page."""
    summaries = result.summaries
    page = summaries.get(PAGE)
    identity = job.summarizer.engine.identity
    return {
        "path": shown_path(job.page.path),
        "title": page_title(job.page.document),
        "summary": page and page.text,
        "engine": identity.name,
        "model": identity.model,
        "sections": [
            section_object(section)
            | {
                "summary": summaries[section.id].text,
                "source": summaries[section.id].source,
                "cached": summaries[section.id].cached,
                "grounded": summaries[section.id].grounded,
                "note": summaries[section.id].note,
            }
            for section in job.wanted
        ],
        "usage": {
            "prompt_tokens": result.usage.prompt_tokens,
            "new_tokens": result.usage.new_tokens,
            "seconds": round(result.usage.seconds, 3),
        },
    }


def _text(job: _Job, result: DocumentSummary) -> Iterator[str]:
    title = printable(page_title(job.page.document))
    yield click.style(shown_path(job.page.path), bold=True) + (f"  {title}" if title else "")
    if PAGE in result.summaries:
        yield wrapped(result.summaries[PAGE].text, indent="  ")
    for section in job.wanted:
        summary = result.summaries[section.id]
        indent = "  " * max(section.level, 1)
        name = f"{'#' * section.level} {printable(section.title)}".strip() or "(before the first heading)"
        origin = "  the text's own words" if summary.note else ""
        yield ""
        yield indent + click.style(name, fg="cyan") + click.style(f"  line {section.line}{origin}", dim=True)
        if summary.text:
            yield wrapped(summary.text, indent=indent)
    yield ""
