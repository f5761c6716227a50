"""A section: a heading and what stands under it."""

from collections.abc import Iterator

from msgspec import Struct


class Section(Struct, frozen=True, kw_only=True, gc=False):
    """A heading with its text and its subsections, as positions in the document's text.

    A struct and no dataclass: each key typed moves thousands of them, and no garbage collection has to look at them.

    Offsets are in characters of the whole text and half open; lines are 1-based and count the whole file.
    ``start`` is the heading's first character, ``content_start`` the first one after its line(s),
    ``own_end`` where the first subsection begins (else ``end``), ``end`` behind the last subsection.
    ``id`` is the position in the tree, ``2.1`` for the first subsection of the second section; the text
    before the first heading is a section ``0`` of level 0 with an empty title, present only where that text
    is not blank.
    """

    id: str
    title: str
    level: int
    start: int
    content_start: int
    own_end: int
    end: int
    line: int
    end_line: int
    children: tuple["Section", ...] = ()

    def walk(self) -> Iterator["Section"]:
        """This section and all below it, in document order."""
        yield self
        for child in self.children:
            yield from child.walk()
