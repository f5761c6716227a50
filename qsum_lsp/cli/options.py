"""Options that several commands share."""

import os
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from qsum_lsp.settings import FolderSettings, check_settings, load_settings
from qsum_lsp.settings.values import EngineName, Strategy

Command = Callable[..., Any]


def paths_argument(command: Command) -> Command:
    """``PATH…``: files and folders."""
    return click.argument(
        "paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path)
    )(command)


def json_option(command: Command) -> Command:
    """``--json``: one JSON object a line for machines."""
    return click.option("--json", "as_json", is_flag=True, help="JSON Lines: one object a file.")(command)


def engine_options(command: Command) -> Command:
    """``--engine``, ``--model`` and ``--strategy``."""
    for option in (
        click.option(
            "--strategy",
            type=click.Choice(typing.get_args(Strategy)),
            help="How a text too long for one prompt is cut.",
        ),
        click.option(
            "--model", metavar="M", help="An alias, a path to a GGUF file or a folder, or a hub name."
        ),
        click.option("--engine", type=click.Choice(typing.get_args(EngineName)), help="What runs the model."),
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Overrides:
    """The settings given on the command line; they win over the files."""

    values: dict[str, Any]

    @classmethod
    def of(cls, **given: object) -> "Overrides":
        """Those of ``given`` that are not None, checked. Raises UsageError."""
        named = {name: value for name, value in given.items() if value is not None}
        return cls(check_settings(named, where="command line"))

    def settings_for(self, path: Path) -> FolderSettings:
        """What holds for the file or folder ``path``. Raises UsageError, FileError."""
        return load_settings(path if os.path.isdir(path) else path.parent, self.values)
