"""The documents that the server knows: open buffers, and files where no buffer is open."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from qsum_lsp.document import Document, LineTable, Section, parse
from qsum_lsp.document.front_matter import first_character
from qsum_lsp.document.page_title import page_title
from qsum_lsp.document.reparse import reparse
from qsum_lsp.errors import FileError
from qsum_lsp.files import PAGE_SUFFIXES, read_text
from qsum_lsp.front_matter import Page, read_page
from qsum_lsp.lsp.uris import file_path
from qsum_lsp.summaries import PAGE

LANGUAGES = ("markdown", "mdx", "quarto", "rmarkdown")
"""The language ids that the server serves."""

SectionName = tuple[tuple[str, int], ...]
"""The titles down to a section, each with the number of siblings before that have the same; empty for the page."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A document at one moment; what is read out of it is read once. ``version`` is None for a file."""

    uri: str
    version: int | None
    language_id: str
    text: str

    @cached_property
    def lines(self) -> LineTable:
        """The lines of the text."""
        return LineTable(self.text)

    @cached_property
    def document(self) -> Document:
        """The sections of the text."""
        return parse(self.text)

    @cached_property
    def title(self) -> str:
        """The title of the page, which the summaries of its sections depend on."""
        return page_title(self.document)

    @property
    def is_parsed(self) -> bool:
        """Whether the sections are known already."""
        return "document" in self.__dict__

    @cached_property
    def page(self) -> Page:
        """The front matter. Raises FrontMatterError."""
        return read_page(self.text)

    @property
    def path(self) -> Path | None:
        """Where the document lies on the disk; None for what is no file."""
        return file_path(self.uri)

    @property
    def name(self) -> str:
        """What people call the document."""
        return PurePosixPath(unquote(self.uri)).name or self.uri

    def section_at(self, line: int) -> Section | None:
        """The innermost section at the zero-based ``line``."""
        return self.document.section_at(line + 1)

    def heading_at(self, line: int) -> Section | None:
        """The section whose heading stands on the zero-based ``line``."""
        section = self.section_at(line)
        if section is None or section.level == 0:
            return None
        return section if line < section.line - 1 + len(self.heading_lines(section)) else None

    def heading_lines(self, section: Section) -> LineTable:
        """The lines of a heading alone, which begins at its first line's start; cheaper than ``lines``."""
        return LineTable(self.text[section.start : section.content_start].rstrip("\r\n"))

    def section(self, section_id: str) -> Section | None:
        """The section with that id."""
        path = self._path(section_id)
        return path[-1] if path else None

    def text_of(self, section_id: str) -> str:
        """What the summary of the section is made from; for the page all below the front matter."""
        section = self.section(section_id) if section_id else None
        return self.document.text_of(section) if section else self.text[self.document.body_start :]

    @cached_property
    def names(self) -> dict[str, SectionName]:
        """What names the page and each section when positions change, by id; the page is the last."""
        return {**dict(_names(self.document.sections, ())), PAGE: ()}

    def _path(self, section_id: str) -> list[Section]:
        """The sections from the top down to the one with that id; empty where there is none."""
        siblings = self.document.sections
        first = 0 if siblings and siblings[0].level == 0 else 1  # the number of the first sibling
        path: list[Section] = []
        for part in section_id.split("."):
            index = int(part) - first if part.isdecimal() and len(part) < 10 else -1
            if not 0 <= index < len(siblings):
                return []
            path.append(siblings[index])
            siblings, first = siblings[index].children, 1
        return path


class OpenDocuments:
    """The open buffers by URI; they win over what is on the disk."""

    def __init__(self) -> None:
        self._open: dict[str, Snapshot] = {}
        self._numbers: dict[str, int] = {}
        self._uris: list[str] = []

    def __iter__(self) -> Iterator[Snapshot]:
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    def open(self, uri: str, *, version: int, language_id: str, text: str) -> Snapshot:
        """Take in a buffer that a client opened."""
        self._open[uri] = Snapshot(uri, version, language_id, encodable(text))
        return self._open[uri]

    def change(self, uri: str, *, version: int, text: str) -> Snapshot | None:
        """Replace the text of an open buffer; None where none is open."""
        before = self._open.get(uri)
        if before is None:
            return None
        after = Snapshot(uri, version, before.language_id, encodable(text))
        if before.is_parsed and (document := reparse(before.document, after.text)) is not None:
            after.__dict__["document"] = document  # what the cached property would find, for less
        self._open[uri] = after
        return after

    def number(self, uri: str) -> int:
        """A short name for ``uri``, for as long as the server runs."""
        if uri not in self._numbers:
            self._numbers[uri] = len(self._uris)
            self._uris.append(uri)
        return self._numbers[uri]

    def numbered(self, number: int) -> str:
        """The URI with that number; empty where there is none."""
        return self._uris[number] if 0 <= number < len(self._uris) else ""

    def close(self, uri: str) -> None:
        """Forget a buffer."""
        self._open.pop(uri, None)

    def opened(self, uri: str) -> Snapshot | None:
        """The open buffer, where it is one that the server serves."""
        snapshot = self._open.get(uri)
        return snapshot if snapshot is not None and _is_served(snapshot) else None

    def get(self, uri: str) -> Snapshot | None:
        """The open buffer, else the file as it is on the disk; None for what is neither, or no Markdown."""
        if uri in self._open:
            return self.opened(uri)
        path = file_path(uri)
        if path is None or not _has_suffix(uri):
            return None
        try:
            text = read_text(path)
        except FileError:
            return None
        # an editor has no character for the mark, and counts columns without it
        return Snapshot(uri, None, "markdown", text[first_character(text) :])

    def latest(self, snapshot: Snapshot) -> Snapshot | None:
        """The document as it is by now; None where it was a buffer that is closed, or a file that is gone."""
        was_open = snapshot.version is not None
        return self.opened(snapshot.uri) if was_open else self.get(snapshot.uri)


def _names(sections: Iterable[Section], above: SectionName) -> Iterator[tuple[str, SectionName]]:
    """The ids of all sections with their names, in document order."""
    seen: Counter[str] = Counter()
    for section in sections:
        name = (*above, (section.title, seen[section.title]))
        seen[section.title] += 1
        yield section.id, name
        yield from _names(section.children, name)


def encodable(text: str) -> str:
    """``text`` with U+FFFD for each lone surrogate, which is as long in every encoding, so that positions hold."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _is_served(snapshot: Snapshot) -> bool:
    return snapshot.language_id in LANGUAGES or _has_suffix(snapshot.uri)


def _has_suffix(uri: str) -> bool:
    return unquote(uri).lower().endswith(PAGE_SUFFIXES)
