"""Reading a Markdown file without changing a character of it."""

import codecs
from pathlib import Path

from qsum_lsp.errors import FileError

_BINARY_PROBE = 8192


def read_text(path: Path) -> str:
    """The text of ``path`` with its line ends and byte order mark as they are; UTF-8 encodes it back to the same bytes.

    Raises FileError where the file is missing, unreadable, a folder, binary or not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise FileError(f"{path}: there is no such file.") from None
    except IsADirectoryError:
        raise FileError(f"{path}: is a folder.") from None
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}.") from error
    return decode(data, name=str(path))


def decode(data: bytes, *, name: str) -> str:
    """``data`` as UTF-8 text. Raises FileError, naming the file ``name``."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FileError(f"{name}: is UTF-16; save it as UTF-8.")
    if b"\0" in data[:_BINARY_PROBE]:
        raise FileError(f"{name}: looks like a binary file.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileError(
            f"{name}: is not valid UTF-8 (byte {error.start}, line {line}); save it as UTF-8."
        ) from None
