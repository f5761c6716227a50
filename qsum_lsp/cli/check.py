"""``qsum check``: the states of front-matter summaries, without a model."""

from pathlib import Path

import click

from qsum_lsp.cli.found import find_pages
from qsum_lsp.cli.options import Overrides, paths_argument
from qsum_lsp.cli.page_reports import OutputFormat, output_options, print_report, print_totals
from qsum_lsp.cli.terminal import shown_path
from qsum_lsp.errors import FileError
from qsum_lsp.front_matter.check import check_page
from qsum_lsp.front_matter.edit import check_key
from qsum_lsp.front_matter.neighbours import Neighbours
from qsum_lsp.front_matter.report import PageReport, exit_code

_HELP = """Say of each page whether its front-matter summary is up to date.

\b
fresh    qsum wrote it from the text as it is
stale    qsum wrote it, and the text has changed since
missing  there is none
edited   qsum wrote it, and a person changed it: theirs from now on
human    a person wrote it
empty    no text to make one from; one of qsum's is of text that is gone

The exit code is 1 where a page is stale or missing. No model, cache or network is used.
"""


@click.command(help=_HELP)
@paths_argument
@output_options
@click.option("--key", metavar="K", help="The front-matter key of the summary.")
def check(paths: tuple[Path, ...], output_format: OutputFormat, as_json: bool, key: str | None) -> int:
    """Run ``qsum check``; click shows ``_HELP``."""
    output_format = "json" if as_json else output_format
    if key is not None:
        check_key(key)
    overrides = Overrides.of(key=key)
    neighbours = Neighbours()
    reports: list[PageReport] = []
    for found in find_pages(paths, overrides):
        if isinstance(found, FileError):
            report = PageReport(path="", error=found)
        else:
            path, settings = found
            report = check_page(path, settings, neighbours, shown=shown_path(path)).report
        reports.append(report)
        print_report(report, output_format, updating=False)
    print_totals(reports, output_format)
    return exit_code(reports)
