"""``qsum models``: list, download and find models."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from qsum_lsp import models as model_files
from qsum_lsp.cli.terminal import interactive, shown_path
from qsum_lsp.settings.values import Settings

NOT_HERE = 3


@click.group()
def models() -> None:
    """List, download and find models.

    A model is one GGUF file. It lies below QSUM_HOME (or already in the hub's local cache) and is used only after
    its SHA-256 was verified.
    """


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines: one object a model.")
def list_models(as_json: bool) -> None:
    """Show the models that have a name, and which are here."""
    default = Settings().model
    if as_json:
        for entry in model_files.catalogue():
            path = model_files.locate(entry.alias)
            line = {
                "alias": entry.alias,
                "title": entry.title,
                "size": entry.size,
                "licence": entry.licence,
                "sha256": entry.sha256,
                "here": path is not None,
                "path": shown_path(path) if path else None,
                "default": entry.alias == default,
            }
            click.echo(json.dumps(line, ensure_ascii=False))
        return
    width = max(len(entry.alias) for entry in model_files.catalogue())
    click.echo(f"  {'alias':{width}}  {'size':>7}  {'licence':10}  here  what it is")
    for entry in model_files.catalogue():
        mark = "*" if entry.alias == default else " "
        here = "yes" if model_files.locate(entry.alias) else "no"
        size = f"{entry.size / 1e9:.1f} GB"
        click.echo(f"{mark} {entry.alias:{width}}  {size:>7}  {entry.licence:10}  {here:4}  {entry.title}")
    click.echo(
        "\n* the default. `qsum models pull ALIAS` downloads one; `model = …` in .qsum.toml chooses one."
    )


@models.command("pull")
@click.argument("alias")
def pull(alias: str) -> None:
    """Download the model ALIAS, unless it is here already, and print its path.

    An interrupted download goes on where it stopped.
    """
    click.echo(shown_path(pull_with_progress(alias)))


@models.command("path")
@click.argument("alias")
@click.pass_context
def path(context: click.Context, alias: str) -> None:
    """Print where the file of the model ALIAS is; exit code 3 where it is not here."""
    found = model_files.locate(alias)
    if found is None:
        click.echo(
            f"qsum: {alias} is not here or was not verified yet; run: qsum models pull {alias}", err=True
        )
        context.exit(NOT_HERE)
    click.echo(shown_path(found))


def pull_with_progress(name: str | Path) -> Path:
    """``models.pull`` with a bar on standard error: size, speed, time left. Raises what that raises."""
    with (_bar if interactive() else _lines)(str(name)) as report:
        return model_files.pull(name, report)


@contextmanager
def _bar(name: str) -> Iterator[Callable[[model_files.PullProgress], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(name, total=None)

    def report(progress: model_files.PullProgress) -> None:
        bar.start()  # not before there is something to wait for
        bar.update(
            task,
            description=f"{name}: {progress.activity}",
            completed=progress.done,
            total=progress.total,
        )

    try:
        yield report
    finally:
        bar.stop()


@contextmanager
def _lines(name: str) -> Iterator[Callable[[model_files.PullProgress], None]]:
    """In logs: a line for each new activity, and for each tenth of the file."""
    said: set[tuple[str, int]] = set()

    def report(progress: model_files.PullProgress) -> None:
        step = (progress.activity, progress.done * 10 // progress.total)
        if step not in said:
            said.add(step)
            size = f"{progress.done / 1e6:,.0f} of {progress.total / 1e6:,.0f} MB"
            click.echo(f"{name}: {progress.activity}, {size}", err=True)

    yield report
