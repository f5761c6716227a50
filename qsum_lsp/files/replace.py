"""Replacing a file at once: whoever looks sees the old bytes or the new ones, also after a crash."""

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from qsum_lsp.errors import FileError

if sys.platform != "win32":
    import fcntl


def replace_file(path: Path, data: bytes, *, expected: bytes | None, tree: Path) -> None:
    """Put ``data`` in place of ``expected``, which is what was read (None for a file that is not there yet).

    A temporary file in the same folder is written, synced and moved over the old one, whose mode, ownership and
    extended attributes it has. A symbolic link is followed only to a place inside the folder ``tree``, and stays
    a link. Runs at the same time wait for each other, where the system can lock a folder.

    Raises FileError where the file cannot be written, is read-only, leads out of ``tree``, or is no longer what
    was read.
    """
    target = _target(path, tree)
    try:
        with _locked(target.parent):
            _replace(path, target, data, expected)
    except OSError as error:
        raise FileError(f"{path}: cannot be written: {error.strerror or error}.") from error


def _target(path: Path, tree: Path) -> Path:
    try:
        target = path.resolve(strict=False)
        inside = target.is_relative_to(tree.resolve())
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, up to Python 3.12
        raise FileError(f"{path}: is a loop of symbolic links.") from error
    if not inside:
        raise FileError(f"{path}: leads out of {tree}; name the file itself to change it.")
    return target


def _replace(path: Path, target: Path, data: bytes, expected: bytes | None) -> None:
    status = os.stat(target) if target.exists() else None
    if (target.read_bytes() if status else None) != expected:
        raise FileError(f"{path}: was changed by somebody else meanwhile; run again.")
    if status is not None and not (status.st_mode & 0o222 and os.access(target, os.W_OK)):
        raise FileError(f"{path}: is read-only.")
    # One name for each file, so that what a killed run leaves behind is taken over by the next one.
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:12]
    temporary = target.parent / f".qsum-{name}.tmp"
    with suppress(FileNotFoundError):
        temporary.unlink()
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(temporary, flags, 0o600 if status else 0o666), "wb") as file:
            file.write(data)
            if status is not None:
                _take_over(file.fileno(), temporary, target, status)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def _take_over(descriptor: int, temporary: Path, target: Path, status: os.stat_result) -> None:
    """Give the new file what belongs to the old one beside its bytes."""
    if sys.platform != "win32":
        mine = os.fstat(descriptor)
        if (mine.st_uid, mine.st_gid) != (status.st_uid, status.st_gid):
            os.fchown(descriptor, status.st_uid, status.st_gid)
    if sys.platform == "linux":
        for attribute in os.listxattr(target):
            with suppress(OSError):
                os.setxattr(descriptor, attribute, os.getxattr(target, attribute))
    os.chmod(temporary, stat.S_IMODE(status.st_mode))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One writer at a time in ``folder``. The system gives the lock back when the process dies."""
    if sys.platform == "win32":
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
