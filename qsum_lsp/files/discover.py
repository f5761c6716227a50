"""Which files a path stands for."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from qsum_lsp.errors import FileError
from qsum_lsp.files.walk import walk_folder
from qsum_lsp.settings import FolderSettings


def discover(path: Path, settings_in: Callable[[Path], FolderSettings]) -> Iterable[Path | FileError]:
    """The Markdown files that ``path`` stands for, folders in alphabetical order.

    A file that is named is taken whatever its name. A folder stands for the files below it that match
    ``include`` and not ``exclude`` (gitignore patterns) of the settings in the folder that they stand in, which
    ``settings_in`` tells; of a folder that ``include`` names, they are its Markdown files. Hidden folders, those
    that git ignores and installed packages are left out, and symbolic links are not followed. What cannot be read
    comes as the FileError to report, so that the rest goes on.
    """
    if os.path.isdir(path):  # unlike the method of a path, never fails for a name that the system refuses
        return walk_folder(path, settings_in)
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return (FileError(f"{path}: there is no such file or folder."),)
    except OSError as error:
        return (FileError(f"{path}: cannot be read: {error.strerror}."),)
    return (path,)
