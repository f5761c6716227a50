"""Which files a list of paths stands for."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from qsum_lsp.errors import FileError
from qsum_lsp.settings import FolderSettings


def discover(paths: Iterable[Path], settings: FolderSettings) -> Iterator[Path | FileError]:
    """The Markdown files that ``paths`` stand for, each once, folders in alphabetical order.

    A file that is named is taken whatever its name. A folder stands for the files below it that match
    ``include`` and not ``exclude`` (gitignore patterns, relative to the settings' root); hidden folders, those
    that git ignores and installed packages are left out, and symbolic links are not followed. What cannot be
    read comes as the FileError to report, so that the rest goes on.
    """
    seen: set[Path] = set()
    for path in paths:
        if path.is_dir():
            from qsum_lsp.files.walk import walk_folder  # pathspec, which only folders need

            found: Iterable[Path | FileError] = walk_folder(path, settings)
        elif path.exists() or path.is_symlink():
            found = (path,)
        else:
            found = (FileError(f"{path}: there is no such file or folder."),)
        for item in found:
            if isinstance(item, FileError):
                yield item
                continue
            absolute = item.absolute()
            if absolute not in seen:
                seen.add(absolute)
                yield item
