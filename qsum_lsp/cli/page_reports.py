"""The output of ``qsum check`` and ``qsum update``: a line a page, for people, machines or GitHub."""

import json
import os
from collections.abc import Sequence
from typing import Any, Literal

import click

from qsum_lsp.cli.terminal import printable, say_error
from qsum_lsp.front_matter.report import PageReport, totals

OutputFormat = Literal["text", "github", "json"]

_COLOURS = {
    "fresh": "green",
    "stale": "yellow",
    "missing": "yellow",
    "edited": "cyan",
    "human": "cyan",
    "empty": None,
}
_ADVICE = {
    "stale": "The summary was made from an older text; run: qsum update",
    "missing": "There is no summary; run: qsum update",
}


def output_options(command: Any) -> Any:
    """``--output-format`` and its short form ``--json``."""
    command = click.option(
        "--output-format",
        type=click.Choice(["text", "github", "json"]),
        default="text",
        help="github: annotations of a workflow run; json: one object a page.",
    )(command)
    return click.option("--json", "as_json", is_flag=True, help="The same as --output-format json.")(command)


def print_report(report: PageReport, output_format: OutputFormat, *, updating: bool) -> None:
    """One page's line."""
    if output_format == "json":
        click.echo(json.dumps(_object(report, updating=updating), ensure_ascii=False))
        return
    if output_format == "github":
        _print_annotation(report, updating=updating)
    if report.error is not None:
        say_error(report.error)
        return
    state = report.state or ""
    shown = click.style(state, fg=_COLOURS.get(state))
    if report.written:
        shown += f" -> {click.style('updated', fg='green')}"
    note = f"  ({printable(report.note)})" if report.note else ""
    click.echo(f"{printable(report.path)}: {shown}{note}")


def print_totals(reports: Sequence[PageReport], output_format: OutputFormat) -> None:
    """The summary line."""
    if output_format != "json":
        click.echo(totals(reports))


def _object(report: PageReport, *, updating: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "path": report.path or None,
        "state": report.state,
        "key": report.key or None,
        "line": report.line,
        "summary": report.summary or None,
    }
    if updating:
        found["written"] = report.written
    found["note"] = report.note or None
    found["error"] = _error(report)
    return found


def _print_annotation(report: PageReport, *, updating: bool) -> None:
    """A workflow command; GitHub shows it at the line in question."""
    if report.error is not None:
        level, message = "error", _error(report) or ""
    elif report.is_open:
        level, message = "error", _ADVICE[report.state or ""]
    elif updating and report.written:
        level, message = "notice", f"The summary was written: {report.summary}"
    else:
        return
    path = _escaped(report.path).replace(":", "%3A").replace(",", "%2C")
    click.echo(f"::{level} file={path},line={report.line},title=qsum::{_escaped(message)}")


def _error(report: PageReport) -> str | None:
    """The error's text; file names in it may have bytes that are no UTF-8."""
    return os.fsencode(str(report.error)).decode("utf-8", "replace") if report.error else None


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
