"""The files that a command's PATH arguments stand for, with the settings that hold for each."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from qsum_lsp.cli.options import Overrides
from qsum_lsp.cli.root import called_by_hook
from qsum_lsp.cli.terminal import STANDARD_INPUT
from qsum_lsp.errors import FileError
from qsum_lsp.files import discover, is_walked
from qsum_lsp.settings import FolderSettings, Settings


def find_pages(paths: Sequence[Path], overrides: Overrides) -> Iterator[tuple[Path, Settings] | FileError]:
    """The files in order, with the settings that hold for them. Raises UsageError for broken settings.

    Each comes once, by the first of its names, whichever ways and links the paths take to it. A file that a person
    names is there whatever the settings say; a hook names what a commit changes, and is given those that the working
    folder stands for.
    """
    seen: set[str] = set()
    by_folder: dict[Path, FolderSettings] = {}

    def settings_in(folder: Path) -> FolderSettings:
        if folder not in by_folder:
            by_folder[folder] = overrides.settings_for(folder)
        return by_folder[folder]

    for path in paths:
        if path == STANDARD_INPUT:
            yield path, overrides.settings_for(Path.cwd()).values
            continue
        if called_by_hook() and not os.path.isdir(path) and not is_walked(path, Path.cwd(), settings_in):
            continue
        for found in discover(path, settings_in):
            if isinstance(found, FileError):
                yield found
                continue
            real = os.path.realpath(found)  # two at once at one file would be in each other's way
            if real not in seen:
                seen.add(real)
                yield found, settings_in(found.parent).values
