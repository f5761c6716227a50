"""A Markdown text, its front matter and its sections."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

from qsum_lsp.document.block_parser import PositionParser
from qsum_lsp.document.block_state import PositionState
from qsum_lsp.document.front_matter import FrontMatter, first_character, split_front_matter
from qsum_lsp.document.inline import reader_text
from qsum_lsp.document.lines import LineTable
from qsum_lsp.document.section import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An immutable snapshot of one text. ``sections`` are the top-level ones, a section ``0`` first.

    The body begins at ``body_start``, behind the front matter or the byte order mark.
    """

    text: str
    front_matter: FrontMatter | None
    body_start: int
    sections: tuple[Section, ...]

    def walk(self) -> Iterator[Section]:
        """All sections in document order."""
        for section in self.sections:
            yield from section.walk()

    def text_of(self, section: Section) -> str:
        """The whole section with its heading and its subsections."""
        return self.text[section.start : section.end]

    def own_text_of(self, section: Section) -> str:
        """What stands between the heading and the first subsection."""
        return self.text[section.content_start : section.own_end]

    def section_at(self, line: int) -> Section | None:
        """The innermost section that holds the 1-based ``line``.

        The empty line behind the text's last line end, where an editor's cursor can stand, belongs to the last
        section.
        """
        found: Section | None = None
        siblings: Sequence[Section] = self.sections
        while siblings:
            index = bisect_right(siblings, line, key=attrgetter("line"))
            if index == 0 or line > self._last_line_of(siblings[index - 1]):
                break
            found = siblings[index - 1]
            siblings = found.children
        return found

    def _last_line_of(self, section: Section) -> int:
        at_end = section.end == len(self.text) and self.text.endswith(("\n", "\r"))
        return section.end_line + at_end


@dataclass(slots=True)
class _Heading:
    level: int
    title: str
    start: int
    content_start: int
    id: str = ""
    parent: int = -1
    own_end: int = 0
    end: int = 0


def parse(text: str) -> Document:
    """Cut ``text`` at its headings; any text at all is accepted.

    Headings are those of CommonMark 0.31.2 outside of lists and quotes. A title is what a reader sees of it; an
    image in it is its alternative text.
    """
    front_matter = split_front_matter(text)
    body_start = front_matter.end if front_matter else first_character(text)
    state = PositionState()
    state.process(markdown_source(text))
    state.cursor = body_start
    PositionParser().parse(state)
    lines = LineTable(text)
    headings = [
        _Heading(
            leaf.level,
            reader_text(
                "\n".join([state.src[start:end] for start, end in leaf.spans]), state.env, images=True
            ),
            leaf.start,
            lines.start(lines.line_at(leaf.end) + 1),
        )
        for leaf in state.leaves
        if leaf.kind == "heading" and leaf.container is None
    ]
    sections = _nest(headings, lines)
    preamble_end = headings[0].start if headings else len(text)
    if state.src[body_start:preamble_end].strip(" \t\n"):
        sections = (_preamble(body_start, preamble_end, lines), *sections)
    return Document(text=text, front_matter=front_matter, body_start=body_start, sections=sections)


def markdown_source(text: str) -> str:
    r"""``text`` as the block parser takes it, every offset kept.

    Line ends become ``\n``, where the ``\r`` of a pair becomes a space, which Markdown ignores at the end of a
    line; NUL becomes U+FFFD, as CommonMark (2.3) says.
    """
    return text.replace("\r\n", " \n").replace("\r", "\n").replace("\0", "\ufffd")


def _preamble(start: int, end: int, lines: LineTable) -> Section:
    return Section(
        id="0",
        title="",
        level=0,
        start=start,
        content_start=start,
        own_end=end,
        end=end,
        line=lines.line_at(start),
        end_line=lines.line_at(end - 1),
    )


def _nest(headings: list[_Heading], lines: LineTable) -> tuple[Section, ...]:
    """The sections that ``headings``, in document order, begin."""
    text_end = len(lines.text)
    open_sections: list[int] = []
    counts = [0] * (len(headings) + 1)  # of children; the last one is the root's
    for index, heading in enumerate(headings):
        heading.own_end = headings[index + 1].start if index + 1 < len(headings) else text_end
        heading.end = text_end
        while open_sections and headings[open_sections[-1]].level >= heading.level:
            headings[open_sections.pop()].end = heading.start
        if open_sections:
            heading.parent = open_sections[-1]
        counts[heading.parent] += 1
        prefix = f"{headings[heading.parent].id}." if open_sections else ""
        heading.id = f"{prefix}{counts[heading.parent]}"
        open_sections.append(index)
    children: list[list[Section]] = [[] for _ in range(len(headings) + 1)]
    for index in range(len(headings) - 1, -1, -1):
        heading = headings[index]
        section = Section(
            id=heading.id,
            title=heading.title,
            level=heading.level,
            start=heading.start,
            content_start=heading.content_start,
            own_end=heading.own_end if counts[index] else heading.end,
            end=heading.end,
            line=lines.line_at(heading.start),
            end_line=lines.line_at(heading.end - 1),
            children=tuple(reversed(children[index])),
        )
        children[heading.parent].append(section)
    return tuple(reversed(children[-1]))
