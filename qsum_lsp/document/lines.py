r"""Where the lines of a text begin: ``\n``, ``\r\n`` and a lone ``\r`` end a line, nothing else does.

``str.splitlines`` also breaks at U+2028, U+0085, form feed and others; to Markdown and to editors these are text.
"""

import re
from bisect import bisect_right

LINE_END = re.compile(r"\r\n?|\n")
"""What ends a line."""


class LineTable:
    """The line starts of ``text``. Lines are 1-based, columns 0-based and counted in characters.

    A text that ends with a line end has an empty last line, as in an editor.
    """

    __slots__ = ("starts", "text")

    text: str
    starts: list[int]
    """The offset of each line's first character, in order; the first is 0."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(match.end() for match in LINE_END.finditer(text))]

    def __len__(self) -> int:
        """The number of lines, at least 1."""
        return len(self.starts)

    def line_at(self, offset: int) -> int:
        """The line that holds the character at ``offset``; the last line for the end of the text."""
        return bisect_right(self.starts, offset)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of ``offset``."""
        line = self.line_at(offset)
        return line, offset - self.starts[line - 1]

    def start(self, line: int) -> int:
        """The offset of the first character of ``line``; the end of the text for lines after the last.

        Raises ValueError for a line below 1.
        """
        if line < 1:
            raise ValueError(f"lines count from 1, not {line}")
        return self.starts[line - 1] if line <= len(self.starts) else len(self.text)

    def end(self, line: int) -> int:
        """The offset behind the last character of ``line``, its line end left out."""
        end = self.start(line + 1)
        if line >= len(self.starts):
            return end
        return end - 2 if self.text.endswith("\r\n", self.start(line), end) else end - 1

    def text_of(self, line: int) -> str:
        """The text of ``line`` without its line end."""
        return self.text[self.start(line) : self.end(line)]

    def offset(self, line: int, column: int) -> int:
        """The offset of ``column`` in ``line``; a column after the line's end counts as its end."""
        return min(self.start(line) + max(column, 0), self.end(line))
