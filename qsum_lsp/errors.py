"""The errors a user can meet; each carries the exit code of the command line."""

from typing import ClassVar


class QsumError(Exception):
    """An error to be shown to the user as one message, without a traceback.

    The text says what happened, where (file and key) and what to do.
    """

    exit_code: ClassVar[int] = 1


class UsageError(QsumError):
    """Wrong usage or wrong settings."""

    exit_code = 2


class EngineUnavailable(QsumError):
    """There is no engine or no model: not installed, not reachable, or it does not load."""

    exit_code = 3


class OutOfDeviceMemory(EngineUnavailable):
    """The model does not fit the memory of the device; a smaller form of it, or another device, may do."""


class FileError(QsumError):
    """A file could not be read or written."""

    exit_code = 4
