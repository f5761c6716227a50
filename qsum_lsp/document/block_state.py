"""The block parser's state: the current line, the open blocks, the leaves found."""

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Any, Literal

from mistune.core import BlockState

from qsum_lsp.document.definitions import skip_definitions

LeafKind = Literal["heading", "paragraph", "code", "html"]
ContainerKind = Literal["quote", "item", "admonition"]

_TITLE_STARTS = ("'", '"', "(")
_LINE = re.compile(r"[^\r\n]+")


@dataclass(slots=True)
class Leaf:
    """A block without blocks in it, as offsets in the source.

    ``start`` is the beginning of its first line, or the end of the container markers there; ``end`` the end of its
    last line, line end left out. ``spans`` are its pieces of content in order, without container markers; a piece
    holds several whole lines where no markers stand between them.
    """

    kind: LeafKind
    start: int
    end: int
    container: ContainerKind | None = None
    spans: list[tuple[int, int]] = field(default_factory=list)
    level: int = 0
    info: str = ""
    definition_checks: int = 8
    fence: str = ""
    fence_indent: int = 0
    html_end: str | re.Pattern[str] = ""
    """What ends an HTML block; empty where a blank line does."""

    def lines(self, src: str) -> list[tuple[int, int]]:
        """The spans cut at line ends."""
        return [
            (start + line.start(), start + line.end())
            for start, end in self.spans
            for line in _LINE.finditer(src[start:end])
        ]


@dataclass(slots=True)
class Container:
    """An open quote, or a list item or the like, whose lines are indented by ``indent`` columns."""

    kind: ContainerKind
    indent: int = 0
    empty: bool = True


class PositionState(BlockState):
    """``cursor`` is where the rest of the current line begins, ``column`` its column with tab stops of 4."""

    def __init__(self, parent: Any | None = None) -> None:
        super().__init__(parent)
        self.leaves: list[Leaf] = []
        self.leaf: Leaf | None = None
        self.containers: list[Container] = []
        self.matched = 0
        """How many of the open containers go on in the current line."""
        self.line_end = 0
        self.column = 0
        self.text_start = -1
        """The first character of the rest of the line that is no white space; the line's end if it is blank."""
        self.indent = 0
        self.blank = False
        self._text_column = 0
        self._line_start = 0
        self._quotes: list[int] = []
        self._mixed: dict[str, int] = {}

    @property
    def open_paragraph(self) -> bool:
        """Whether a paragraph is open that this line could continue, be it lazily."""
        return self.leaf is not None and self.leaf.kind == "paragraph"

    def enter_line(self, start: int, end: int) -> None:
        """Make ``src[start:end]`` the current line."""
        self._line_start = self.cursor = start
        self.line_end = end
        self.column = 0
        self.text_start = -1
        self._mixed.clear()

    def measure_indent(self) -> None:
        """Set ``text_start``, ``indent`` and ``blank`` for the rest of the line."""
        if self.text_start < self.cursor:
            position, column, src = self.cursor, self.column, self.src
            while position < self.line_end:
                character = src[position]
                if character == " ":
                    column += 1
                elif character == "\t":
                    column += 4 - column % 4
                else:
                    break
                position += 1
            self.text_start = position
            self._text_column = column
            self.blank = position >= self.line_end
        self.indent = self._text_column - self.column

    def skip_indent(self) -> None:
        """Move to the first character that is no white space."""
        self.cursor = self.text_start
        self.column = self._text_column

    def skip_columns(self, count: int) -> None:
        """Move over ``count`` columns of white space; the cursor stays on a tab of which columns are left."""
        while count > 0 and self.cursor < self.line_end:
            width = 4 - self.column % 4 if self.src[self.cursor] == "\t" else 1
            self.column += min(width, count)
            if width <= count:
                self.cursor += 1
            count -= width

    def skip_marker(self, length: int) -> None:
        """Move over ``length`` characters that are no white space."""
        self.cursor += length
        self.column += length

    def is_all(self, marker: str, start: int) -> bool:
        """Whether the line holds nothing but ``marker`` and white space from ``start`` on.

        Remembers where it does not, so that a line of nested list markers is read once.
        """
        if start <= self._mixed.get(marker, -1):
            return False
        other = re.compile(f"[^{re.escape(marker)} \\t]").search(self.src, start, self.line_end)
        if other:
            self._mixed[marker] = other.start()
        return other is None

    def items_in_blank_line(self) -> int:
        """How many containers a blank line leaves open, if all before ``matched`` go on: items do, quotes do not.

        An item that is still empty does not either: it begins with at most one blank line.
        """
        position = bisect_left(self._quotes, self.matched)
        if position < len(self._quotes):
            return self._quotes[position]
        return len(self.containers) - self.containers[-1].empty

    def leaf_start(self) -> int:
        """Where a leaf that begins in this line starts: at the line's start unless it is in a container."""
        return self.text_start if self.containers else self._line_start

    def open_leaf(self, leaf: Leaf) -> None:
        """Make ``leaf`` the open block in the innermost open container."""
        if self.containers:
            leaf.container = self.containers[-1].kind
            self.containers[-1].empty = False
        self.leaf = leaf

    def extend_leaf(self, start: int, end: int) -> None:
        """Add a piece of content to the open leaf."""
        assert self.leaf is not None  # noqa: S101
        self.leaf.spans.append((start, end))
        self.leaf.end = end

    def open_container(self, container: Container) -> None:
        """Open ``container`` in the innermost open one; the current line goes on in it."""
        if self.containers:
            self.containers[-1].empty = False
        if container.kind == "quote":
            self._quotes.append(len(self.containers))
        self.containers.append(container)
        self.matched = len(self.containers)

    def close_unmatched(self) -> None:
        """Close the open leaf and the containers that do not go on in this line."""
        self.close_leaf()
        del self.containers[self.matched :]
        while self._quotes and self._quotes[-1] >= self.matched:
            self._quotes.pop()

    def close_leaf(self) -> None:
        """Finish the open leaf, if there is one."""
        leaf, self.leaf = self.leaf, None
        if leaf is None:
            return
        if leaf.kind == "paragraph" and not self.take_definitions(leaf):
            return
        if leaf.kind == "code" and not leaf.fence:
            while leaf.spans and leaf.spans[-1][0] == leaf.spans[-1][1]:
                leaf.spans.pop()
        self.leaves.append(leaf)

    def drop_definitions(self) -> None:
        """Drop the open paragraph if link reference definitions are all it holds: the line may begin any block.

        Not if the line is the title of the last definition. Tried a few times only, to stay linear.
        """
        leaf = self.leaf
        if (
            leaf is None
            or leaf.kind != "paragraph"
            or leaf.definition_checks == 0
            or not self.src.startswith("[", leaf.spans[0][0])
        ):
            return
        leaf.definition_checks -= 1
        text = self._text(leaf)
        links: dict[str, Any] = {}
        if skip_definitions(text, links) >= len(text):
            line = self.src[self.text_start : self.line_end]
            if line.startswith(_TITLE_STARTS) and skip_definitions(f"{text}\n{line}", links) > len(text) + 1:
                return
            for key, link in links.items():
                self.env["ref_links"].setdefault(key, link)
            self.leaf = None

    def _text(self, leaf: Leaf) -> str:
        return "\n".join([self.src[start:end] for start, end in leaf.spans])

    def take_definitions(self, leaf: Leaf) -> bool:
        """Move the link reference definitions that open a paragraph to ``env``; whether any text is left."""
        if not self.src.startswith("[", leaf.spans[0][0]):
            return True
        text = self._text(leaf)
        position = skip_definitions(text, self.env["ref_links"])
        if position == 0:
            return True
        skipped = text.count("\n", 0, position)
        if position >= len(text):
            leaf.spans.clear()
            return False
        leaf.spans = leaf.lines(self.src)[skipped:]
        first = leaf.spans[0][0]
        leaf.start = first if leaf.container else self.src.rfind("\n", 0, first) + 1
        return True
