"""Which files a path stands for."""

import os
from collections.abc import Iterable
from pathlib import Path

from qsum_lsp.errors import FileError
from qsum_lsp.settings import FolderSettings, Settings

PAGE_SUFFIXES = tuple(pattern.removeprefix("*").lower() for pattern in Settings().include)
"""How the names of Markdown files end, in lower case, where no setting says otherwise."""


def discover(path: Path, settings: FolderSettings) -> Iterable[Path | FileError]:
    """The Markdown files that ``path`` stands for, folders in alphabetical order.

    A file that is named is taken whatever its name. A folder stands for the files below it that match
    ``include`` and not ``exclude`` (gitignore patterns, relative to the settings' root); hidden folders, those
    that git ignores and installed packages are left out, and symbolic links are not followed. What cannot be
    read comes as the FileError to report, so that the rest goes on.
    """
    if os.path.isdir(path):  # unlike the method of a path, never fails for a name that the system refuses
        from qsum_lsp.files.walk import walk_folder  # pathspec, which only folders need

        return walk_folder(path, settings)
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return (FileError(f"{path}: there is no such file or folder."),)
    except OSError as error:
        return (FileError(f"{path}: cannot be read: {error.strerror}."),)
    return (path,)
