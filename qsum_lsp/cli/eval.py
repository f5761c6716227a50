"""``qsum eval``: summaries measured against descriptions that people wrote."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from qsum_lsp.cli.options import Overrides, engine_options
from qsum_lsp.cli.terminal import say_error
from qsum_lsp.errors import UsageError
from qsum_lsp.evaluation.pages import EvaluationPage, read_pages
from qsum_lsp.evaluation.predictions import (
    Prediction,
    append_prediction,
    predict,
    read_predictions,
    start_predictions,
)
from qsum_lsp.evaluation.render import to_markdown, write_report
from qsum_lsp.evaluation.report import build_report
from qsum_lsp.evaluation.results import evaluate as score
from qsum_lsp.service import Service, summary_options
from qsum_lsp.settings import Settings
from qsum_lsp.store import NoStore

_PAGES_AT_ONCE = 8
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(name="eval")
@click.argument("data", type=_FILE)
@engine_options
@click.option("--out", type=_FILE, metavar="PRED.JSONL", help="Keep the summaries here, each as it is made.")
@click.option(
    "--from",
    "made",
    type=_FILE,
    metavar="PRED.JSONL",
    help="Score these summaries instead of making new ones.",
)
@click.option(
    "--baseline", type=_FILE, metavar="PRED.JSONL", help="Another run to compare with, page by page."
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write report.md, report.html and plots here.",
)
@click.option(
    "--embeddings",
    metavar="MODEL",
    help="Measure cosine too: a folder or hub name for sentence-transformers, e.g. all-MiniLM-L6-v2.",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N pages.")
def evaluate(
    data: Path,
    engine: str | None,
    model: str | None,
    strategy: str | None,
    out: Path | None,
    made: Path | None,
    baseline: Path | None,
    report: Path | None,
    embeddings: str | None,
    limit: int | None,
) -> int:
    """Measure page summaries against the descriptions in DATA.

    DATA is JSON Lines: `body` (Markdown) and `description` (by a person) on each line, best with `id`, `title` and
    `repo`. The summaries are made as `qsum update` makes them, without the cache. The report goes to standard
    output.
    """
    pages = read_pages(data)[:limit]
    settings = Overrides.of(engine=engine, model=model, strategy=strategy).settings_for(Path.cwd()).values
    measure = None
    if embeddings is not None:
        from qsum_lsp.evaluation.measures import Embeddings

        measure = Embeddings(embeddings)
    other = None if baseline is None else _chosen(baseline, pages)
    if made is None:
        if out is not None:
            start_predictions(out)
        predictions, made_by = asyncio.run(_predict(pages, settings, out))
    else:
        predictions, made_by = _chosen(made, pages), made.name
    results = score(
        pages,
        predictions,
        other=other,
        embeddings=measure,
        max_chars=summary_options(settings).page_max_chars,
    )
    parts = build_report(results, engine=made_by)
    if report is not None:
        write_report(parts, report)
    click.echo(to_markdown(parts), nl=False)
    return 0


async def _predict(
    pages: Sequence[EvaluationPage], settings: Settings, out: Path | None
) -> tuple[list[Prediction], str]:
    async with Service(NoStore()) as service:
        summarizer = service.summarizer(settings)
        done = 0

        def tell(prediction: Prediction) -> None:
            nonlocal done
            done += 1
            if out is not None:
                append_prediction(prediction, out)
            note = f": {prediction.note}" if prediction.note else ""
            click.echo(f"{done}/{len(pages)} {prediction.id}{note}", err=True)

        options = replace(summary_options(settings), page_style="")
        predictions = await predict(pages, summarizer, options, at_once=_PAGES_AT_ONCE, on_done=tell)
        identity = summarizer.engine.identity
    return predictions, f"{identity.model} ({identity.name})"


def _chosen(path: Path, pages: Sequence[EvaluationPage]) -> list[Prediction]:
    found = read_predictions(path)
    missing = [page.id for page in pages if page.id not in found]
    if missing:
        raise UsageError(f"{path}: {len(missing)} pages have no summary, {missing[0]} among them.")
    if len(found) > len(pages):
        say_error(f"{path}: {len(found) - len(pages)} summaries are of other pages and are left out.")
    return [found[page.id] for page in pages]
