"""What people see: colours only on a terminal, and no control character from a document."""

import contextlib
import os
import shutil
import sys
import textwrap
import unicodedata
from pathlib import Path

import click

STANDARD_INPUT = Path("-")

_WIDEST = 100


def shown_path(path: Path) -> str:
    """``path`` for people and for JSON, whatever bytes its name has."""
    return os.fsencode(path).decode("utf-8", "replace")


def printable(text: str) -> str:
    """``text`` without control and bidirectional characters that would act on a terminal."""
    return "".join(" " if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") else char for char in text)


def wrapped(text: str, *, indent: str) -> str:
    """``text`` in lines of the terminal's width, at most 100, each after ``indent``."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    return textwrap.fill(
        printable(text), width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def say_error(message: object) -> None:
    """One error about one file; the work goes on."""
    click.echo(f"qsum: {message}", err=True)


def leave_stdout() -> None:
    """Write to nowhere from now on: what nobody reads any more must not become an error, and exit code 120, at exit."""
    with contextlib.suppress(OSError, ValueError):  # no file behind it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def interactive() -> bool:
    """Is somebody watching the progress?"""
    return sys.stderr.isatty()
