"""Front matter that cannot be read or must not be written."""

from qsum_lsp.errors import FileError


class FrontMatterError(FileError):
    """``reason`` is for people and names no file; ``line`` is 1-based, in the file where the reader knows it."""

    def __init__(self, reason: str, *, line: int = 1) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
