"""The pages that a command's PATH arguments stand for."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from qsum_lsp.cli.found import find_pages
from qsum_lsp.cli.options import Overrides
from qsum_lsp.cli.terminal import STANDARD_INPUT
from qsum_lsp.document import Document, parse
from qsum_lsp.errors import FileError
from qsum_lsp.files import read_text
from qsum_lsp.files.read import decode
from qsum_lsp.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A parsed file and the settings that hold for it."""

    path: Path
    document: Document
    settings: Settings


def read_pages(paths: Sequence[Path], overrides: Overrides) -> Iterator[Page | FileError]:
    """The pages in order, each once, or the error that stands in a page's place. Raises UsageError for broken settings."""
    for found in find_pages(paths, overrides):
        yield found if isinstance(found, FileError) else _read(*found)


def _read(path: Path, settings: Settings) -> Page | FileError:
    try:
        text = _read_standard_input() if path == STANDARD_INPUT else read_text(path)
    except FileError as error:
        return error
    return Page(path=path, document=parse(text), settings=settings)


def _read_standard_input() -> str:
    name = "standard input"
    if sys.stdin is None:  # closed by whoever started this
        raise FileError(f"{name}: is closed.")
    return decode(sys.stdin.buffer.read(), name=name)
