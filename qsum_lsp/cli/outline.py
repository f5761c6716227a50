"""``qsum outline``: the sections of pages, without an engine."""

import json
from pathlib import Path
from typing import Any

import click

from qsum_lsp.cli.options import Overrides, json_option, paths_argument
from qsum_lsp.cli.pages import read_pages
from qsum_lsp.cli.terminal import printable, say_error, shown_path
from qsum_lsp.document import Document, Section
from qsum_lsp.errors import FileError


@click.command()
@paths_argument
@json_option
def outline(paths: tuple[Path, ...], as_json: bool) -> int:
    """List the sections of pages; `-` is standard input.

    Lines are 1-based and count the whole file; `end_line` covers the subsections. `start` and `end` are
    character offsets.
    """
    exit_code = 0
    for page in read_pages(paths, Overrides.of()):
        if isinstance(page, FileError):
            say_error(page)
            exit_code = page.exit_code
        elif as_json:
            click.echo(json.dumps(outline_object(page.path, page.document), ensure_ascii=False))
        else:
            _print(page.path, page.document)
    return exit_code


def outline_object(path: Path, document: Document) -> dict[str, Any]:
    """What ``--json`` prints for one page."""
    block = document.front_matter
    return {
        "path": shown_path(path),
        "front_matter": block and {"kind": block.kind, "line": block.line, "end_line": block.end_line},
        "sections": [
            section_object(section) | {"start": section.start, "end": section.end}
            for section in document.walk()
        ],
    }


def section_object(section: Section) -> dict[str, Any]:
    """What ``--json`` prints for a section of any page."""
    return {
        "id": section.id,
        "title": section.title,
        "level": section.level,
        "line": section.line,
        "end_line": section.end_line,
    }


def _print(path: Path, document: Document) -> None:
    click.secho(shown_path(path), bold=True)
    for section in document.walk():
        lines = click.style(f"{section.line}-{section.end_line}", dim=True)
        title = printable(section.title) or (
            "(before the first heading)" if section.level == 0 else "(no title)"
        )
        click.echo(f"{'  ' * max(section.level, 1)}{title}  {lines}")
