"""A page's front matter and where its summary stands."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from qsum_lsp.document.front_matter import FrontMatter, first_character, split_front_matter
from qsum_lsp.front_matter.entries import MAX_CHARS, Entries, Entry, line_number
from qsum_lsp.front_matter.errors import FrontMatterError
from qsum_lsp.front_matter.json_entries import read_json
from qsum_lsp.front_matter.marker import (
    JSON_KEY,
    Marker,
    body_digest,
    digest,
    find_comment_marker,
    parse_json_marker,
)
from qsum_lsp.front_matter.prose import has_prose
from qsum_lsp.front_matter.toml_entries import read_toml
from qsum_lsp.front_matter.yaml_entries import read_yaml

State = Literal["fresh", "stale", "edited", "human", "missing", "empty"]
"""``empty`` is a page without text to make a summary from; one that qsum wrote is of text that is gone.

The others are as in the documentation.
"""

_READERS = {"yaml": read_yaml, "toml": read_toml, "json": read_json}
# Hugo and Astro read front matter below blank lines, Hugo also in a comment; a block above it would take its place.
_ABOVE = re.compile(r"\ufeff?\s*+(?:<!--[^\r\n]*+\s*+)?")
# As MultiMarkdown, Pelican and MkDocs read it; below a block of front matter they take it for text.
_BARE_METADATA = re.compile(r"\ufeff?(?:[\w-]+:[^\r\n]*+(?:\r\n?|\n)){0,20}?(?i:title):[ \t]*\S")
# What git leaves in the front matter of a page without other keys, or where both sides have added it.
_CONFLICT_ON_TOP = re.compile(r"\ufeff?(?:(?:---|\+\+\+|\{)\s*+)?(?=<{7} )")
# A first line of dashes alone is a thematic break; with a key below it, it was meant to be front matter.
_UNCLOSED = re.compile(r"(?:---|\+\+\+)[ \t]*[\r\n]\s*+[\w\"'-]+[ \t]*(?::\s|=)|\{\s*+\"")


@dataclass(frozen=True)
class Page:
    """A text, its front matter (None where it has none) and the entries of it. Made by ``read_page``."""

    text: str
    front_matter: FrontMatter | None
    entries: Entries

    @cached_property
    def body_start(self) -> int:
        """Where the text below the front matter begins, a byte order mark left out."""
        return self.front_matter.end if self.front_matter else first_character(self.text)

    @property
    def body(self) -> str:
        """What a summary is made from."""
        return self.text[self.body_start :]

    @property
    def content(self) -> str:
        """What the parser of the front matter was given."""
        block = self.front_matter
        return "" if block is None else self.text[block.content_start : block.content_end]

    def entry(self, key: str) -> Entry | None:
        """The entry of ``key``, failing that of the key in other letter case, which Hugo reads as the same.

        Raises FrontMatterError where it stands twice.
        """
        found = self.entries.named(key) or [
            entry for entry in self.entries.entries if entry.key.lower() == key.lower()
        ]
        if len(found) > 1:
            raise FrontMatterError(
                f"the key '{key}' stands twice; remove one", line=self.line(found[1].start)
            )
        return found[0] if found else None

    def marker(self, entry: Entry) -> Marker | None:
        """The marker beside ``entry``."""
        if self.front_matter is not None and self.front_matter.kind == "json":
            siblings = self.entries.named(JSON_KEY)
            return parse_json_marker(siblings[-1].text) if siblings else None
        found = find_comment_marker(self.content[entry.comment_start : entry.comment_end])
        return found[0] if found else None

    def is_owned(self, entry: Entry) -> bool:
        """True where ``entry`` holds what qsum wrote, unchanged."""
        marker = self.marker(entry)
        return marker is not None and entry.text is not None and digest(entry.text) == marker.summary

    def owned_key(self) -> str | None:
        """The one key that a marker stands at, whatever its name; in JSON the one whose text it fits."""
        if self.front_matter is None or JSON_KEY not in self.content:
            return None
        fits = self.is_owned if self.front_matter.kind == "json" else self.marker
        found = [entry.key for entry in self.entries.entries if entry.key != JSON_KEY and fits(entry)]
        return found[0] if len(found) == 1 else None

    def line(self, position: int) -> int:
        """The 1-based line, in the file, of a position in the content."""
        start = 0 if self.front_matter is None else self.front_matter.content_start
        return line_number(self.text, start + position)

    def state(self, key: str) -> State:
        """What is to be said of the summary under ``key``."""
        entry = self.entry(key)
        if entry is None or entry.is_empty:
            return "missing" if has_prose(self.body) else "empty"
        marker = self.marker(entry)
        if marker is None:
            return "human"
        if entry.text is None or digest(entry.text) != marker.summary:
            return "edited"
        if body_digest(self.body) == marker.body:
            return "fresh"
        return "stale" if has_prose(self.body) else "empty"


def read_page(text: str) -> Page:
    """Read the front matter of ``text``. Raises FrontMatterError where it is broken, unclosed, too large or not where it belongs."""
    block = split_front_matter(text)
    if block is None:
        if _UNCLOSED.match(text, first_character(text)):
            raise FrontMatterError("the front matter is never closed")
        conflict = _CONFLICT_ON_TOP.match(text)
        if conflict:
            raise _conflict(text, conflict.end())
        if _BARE_METADATA.match(text):
            raise FrontMatterError("the metadata at the top has no lines of --- around it; write them there")
        above = _ABOVE.match(text)
        if above and above.end() and split_front_matter(text[above.end() :]):
            raise FrontMatterError(
                "the front matter does not begin on the first line; delete what stands above it",
                line=line_number(text, above.end()),
            )
        return Page(text=text, front_matter=None, entries=Entries(entries=()))
    if block.content_end - block.content_start > MAX_CHARS:
        raise FrontMatterError(f"the front matter is larger than {MAX_CHARS // 1024} KiB")
    try:
        entries = _READERS[block.kind](text[block.content_start : block.content_end])
    except FrontMatterError as error:
        conflict_at = text.find("\n<<<<<<< ", block.start, block.end)
        if conflict_at >= 0:
            raise _conflict(text, conflict_at + 1) from error
        lines_before = line_number(text, block.content_start) - 1
        raise FrontMatterError(error.reason, line=error.line + lines_before) from error
    return Page(text=text, front_matter=block, entries=entries)


def _conflict(text: str, position: int) -> FrontMatterError:
    return FrontMatterError(
        "there is a merge conflict that is not resolved", line=line_number(text, position)
    )
