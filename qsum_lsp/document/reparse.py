"""Parsing a text again after an edit, at the cost of the section that the edit is in."""

from bisect import bisect_right
from operator import attrgetter

from qsum_lsp.document.block_parser import PositionParser
from qsum_lsp.document.block_state import PositionState
from qsum_lsp.document.document import Document, markdown_source
from qsum_lsp.document.front_matter import split_front_matter
from qsum_lsp.document.lines import LineTable
from qsum_lsp.document.section import Section

_BLOCKS = (65536, 1024)
"""Texts are compared by so many characters, then by fewer: a slice costs little beside its characters."""


def reparse(before: Document, text: str) -> Document | None:
    """``parse(text)``, where ``text`` is ``before.text`` edited within one section; None where all has to be parsed.

    At a heading outside of lists and quotes every other block is closed, so what follows it does not depend on what
    was before. So the text from the section's heading to the next heading is parsed again, and where these are the
    only headings in it still, the sections behind are moved. Edits of headings, link definitions and front matter
    reach further.
    """
    old = before.text
    start, same_end = _common(old, text)
    moved = len(text) - len(old)
    section, following = _around(before, start)
    if section is None or section.level == 0 or not section.content_start <= start <= section.own_end:
        return None
    old_end = following.content_start if following else len(old)
    edited = (old[section.content_start : old_end], text[section.content_start : old_end + moved])
    if len(old) - same_end > section.own_end or any("]:" in one for one in edited):
        return None
    if not _ends_line(text, section.content_start) or split_front_matter(text) != before.front_matter:
        return None
    region = text[section.start : old_end + moved]
    expected = [(section.level, 0)]
    if following:
        expected.append((following.level, following.start + moved - section.start))
    if _headings(region) != expected:
        return None
    lines = LineTable(text[section.start : section.own_end + moved])
    end_line = section.line + lines.line_at(len(lines.text) - 1) - 1
    old_lines = LineTable(old[section.start : section.own_end])
    moved_lines = end_line - (section.line + old_lines.line_at(len(old_lines.text) - 1) - 1)
    move = _Move(start=start, own_end=section.own_end, moved=moved, lines=moved_lines)
    return Document(
        text=text,
        front_matter=before.front_matter,
        body_start=before.body_start,
        sections=tuple(move.moved_section(one) for one in before.sections),
    )


class _Move:
    """What an edit of a section's own text does to all sections: those before stay, those behind move."""

    def __init__(self, *, start: int, own_end: int, moved: int, lines: int) -> None:
        self._start = start
        self._own_end = own_end
        self._moved = moved
        self._lines = lines

    def moved_section(self, section: Section) -> Section:
        if section.end < self._own_end:
            return section
        moved, lines = self._moved, self._lines
        if section.start >= self._own_end:
            return self._behind(section)
        return Section(
            id=section.id,
            title=section.title,
            level=section.level,
            start=section.start,
            content_start=section.content_start,
            own_end=section.own_end + moved if section.own_end >= self._own_end else section.own_end,
            end=section.end + moved,
            line=section.line,
            end_line=section.end_line + lines,
            children=tuple([self.moved_section(child) for child in section.children]),
        )

    def _behind(self, section: Section) -> Section:
        moved, lines, children = self._moved, self._lines, section.children
        return Section(
            id=section.id,
            title=section.title,
            level=section.level,
            start=section.start + moved,
            content_start=section.content_start + moved,
            own_end=section.own_end + moved,
            end=section.end + moved,
            line=section.line + lines,
            end_line=section.end_line + lines,
            children=tuple([self._behind(child) for child in children]) if children else (),
        )


def _around(document: Document, offset: int) -> tuple[Section | None, Section | None]:
    """The innermost section that begins before ``offset``, and the next one in the document."""
    found: Section | None = None
    following: Section | None = None
    siblings = document.sections
    while siblings:
        index = bisect_right(siblings, offset, key=attrgetter("start")) - 1
        if index + 1 < len(siblings):
            following = siblings[index + 1]
        if index < 0:
            break
        found = siblings[index]
        siblings = found.children
    return found, following


def _ends_line(text: str, offset: int) -> bool:
    """Whether a line ends right before ``offset``."""
    return text.endswith("\n", 0, offset) or (
        text.endswith("\r", 0, offset) and not text.startswith("\n", offset)
    )


def _headings(region: str) -> list[tuple[int, int]]:
    """Level and start of each heading in a part of a text."""
    state = PositionState()
    state.process(markdown_source(region))
    PositionParser().parse(state)
    return [
        (leaf.level, leaf.start) for leaf in state.leaves if leaf.kind == "heading" and leaf.container is None
    ]


def _common(old: str, new: str) -> tuple[int, int]:
    """How many characters the two have in common at the start and, of the rest, at the end."""
    limit = min(len(old), len(new))
    start = 0
    for block in _BLOCKS:
        while start + block <= limit and old.startswith(new[start : start + block], start):
            start += block
    while start < limit and old[start] == new[start]:
        start += 1
    limit -= start
    end = 0
    for block in _BLOCKS:
        while end + block <= limit and old.endswith(
            new[len(new) - end - block : len(new) - end], 0, len(old) - end
        ):
            end += block
    while end < limit and old[-1 - end] == new[-1 - end]:
        end += 1
    return start, end
