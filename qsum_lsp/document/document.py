"""A Markdown text, its front matter and its sections."""

from collections.abc import Iterator
from dataclasses import dataclass

from qsum_lsp.document.front_matter import FrontMatter
from qsum_lsp.document.section import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An immutable snapshot of one text. ``sections`` are the top-level ones, a section ``0`` first."""

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
        """The innermost section that holds the 1-based ``line``."""
        raise NotImplementedError


def parse(text: str) -> Document:
    """Cut ``text`` at its headings; any text at all is accepted."""
    raise NotImplementedError
