"""The beginning of a model file that is still on its way."""

import errno
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from qsum_lsp.home import write_at_once

OnBytes = Callable[[int], None]
"""Called with the bytes of the model file that are here so far."""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class SourceFailed(Exception):
    """One source cannot give the file; another one may."""


class DiskFull(Exception):
    """There is no room for the file; no other source will help."""


def is_disk_full(error: OSError) -> bool:
    """Whether the error says that there is no room: disk, quota, or limit of the file's size."""
    return error.errno in _NO_SPACE


class PartialFile:
    """The first bytes of the model file, in a folder of their own until the file is whole.

    Every source gives the same bytes in the same order, so each can go on where another one stopped. A source of
    numbered parts goes on at the last part that is wholly here.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.path = folder / name
        self._parts_path = folder / "parts.json"

    def size(self) -> int:
        """Bytes that are here."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def parts(self) -> tuple[int, int]:
        """How many parts are wholly here, and where the next one begins."""
        with suppress(OSError, ValueError):
            count, end = json.loads(self._parts_path.read_text("utf-8"))
            if isinstance(count, int) and isinstance(end, int) and 0 <= end <= self.size():
                return count, end
        return 0, 0

    def note_part(self, count: int) -> None:
        """Say that ``count`` parts make up all that is here now."""
        write_at_once(self._parts_path, json.dumps([count, self.size()]))

    def append_at(self, offset: int) -> IO[bytes]:
        """The file open for writing at ``offset``; what stood behind it is cut off."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        file = self.path.open("r+b")
        file.truncate(offset)
        file.seek(offset)
        return file

    def discard(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.folder, ignore_errors=True)
