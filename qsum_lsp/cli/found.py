"""The files that a command's PATH arguments stand for, with the settings that hold for each."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from qsum_lsp.cli.options import Overrides
from qsum_lsp.cli.root import called_by_hook
from qsum_lsp.cli.terminal import STANDARD_INPUT
from qsum_lsp.errors import FileError
from qsum_lsp.files import discover
from qsum_lsp.settings import FolderSettings, Settings


def find_pages(paths: Sequence[Path], overrides: Overrides) -> Iterator[tuple[Path, Settings] | FileError]:
    """The files in order, with the settings that hold for them. Raises UsageError for broken settings.

    Each comes once, by the first of its names, whichever ways and links the paths take to it. A file that is named
    is there whatever the settings exclude, but for hooks.
    """
    seen: set[str] = set()
    by_folder: dict[Path, Settings] = {}
    for path in paths:
        if path == STANDARD_INPUT:
            yield path, overrides.settings_for(Path.cwd()).values
            continue
        settings = overrides.settings_for(path)
        if called_by_hook() and _is_excluded_file(path, settings):
            continue
        for found in discover(path, settings):
            if isinstance(found, FileError):
                yield found
                continue
            real = os.path.realpath(found)  # two at once at one file would be in each other's way
            if real not in seen:
                seen.add(real)
                if found.parent not in by_folder:
                    by_folder[found.parent] = overrides.settings_for(found).values
                yield found, by_folder[found.parent]


def _is_excluded_file(path: Path, settings: FolderSettings) -> bool:
    if not settings.values.exclude or os.path.isdir(path):
        return False
    from qsum_lsp.files.walk import is_excluded  # pathspec, which few commits need

    return is_excluded(path, settings)
