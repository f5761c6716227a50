"""Positions of the protocol: zero-based lines, and columns in the units that client and server agreed on."""

from typing import Any

from lsprotocol.types import Position, PositionEncodingKind, Range

from qsum_lsp.document import LineTable

JsonRange = dict[str, Any]


class Positions:
    """Between character offsets and positions of one text. Any position has an offset: it is clamped."""

    def __init__(self, lines: LineTable, encoding: PositionEncodingKind | str) -> None:
        self._lines = lines
        self._encoding = encoding

    def position(self, offset: int) -> Position:
        """The position of the character at ``offset``."""
        line, column = self._lines.position(offset)
        start = offset - column
        return Position(line=line - 1, character=self._units(self._lines.text[start:offset]))

    def offset(self, position: Position) -> int:
        """The offset of ``position``; the end of the line or of the text where it lies behind that."""
        line = position.line + 1
        start, end = self._lines.start(line), self._lines.end(line)
        text = self._lines.text[start:end]
        if self._encoding == PositionEncodingKind.Utf32 or text.isascii():
            return min(start + position.character, end)
        if self._encoding == PositionEncodingKind.Utf8:
            cut = text.encode("utf-8", "surrogatepass")[: position.character].decode("utf-8", "ignore")
        else:
            cut = text.encode("utf-16-le", "surrogatepass")[: 2 * position.character].decode(
                "utf-16-le", "ignore"
            )
        return min(start + len(cut), end)

    def range(self, start: int, end: int) -> Range:
        """The range between two offsets."""
        return Range(start=self.position(start), end=self.position(end))

    def json_range(self, start: int, end: int) -> JsonRange:
        """The range as plain JSON."""
        first, last = self.position(start), self.position(end)
        return {
            "start": {"line": first.line, "character": first.character},
            "end": {"line": last.line, "character": last.character},
        }

    def _units(self, text: str) -> int:
        if self._encoding == PositionEncodingKind.Utf32 or text.isascii():
            return len(text)
        if self._encoding == PositionEncodingKind.Utf8:
            return len(text.encode("utf-8", "surrogatepass"))
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
