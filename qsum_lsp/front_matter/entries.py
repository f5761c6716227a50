"""The top-level entries of front matter with their positions: what all three syntaxes have in common."""

from dataclasses import dataclass
from typing import Literal

Quoting = Literal["plain", "single", "double"]

MAX_CHARS = 256 * 1024
"""Front matter beyond this is refused: no page needs it, and readers get slow."""

MAX_DEPTH = 64
"""Nesting beyond this is refused, because the readers' time or stack grows with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One top-level key and its value; offsets are relative to the text that was read, and half open.

    ``start`` is the key's first character, ``end`` the place behind the value's last one. ``text`` is the
    value where it is a scalar, in words; None for tables, lists and the like. ``quoting`` is None for block
    scalars and everything else that does not stand on one line. ``comment_start`` to ``comment_end`` is where
    a comment on the value's line stands or would stand. ``value`` is equal for equal values only. ``anchor``
    is a YAML anchor on the value.
    """

    key: str
    start: int
    key_end: int
    value_start: int
    end: int
    text: str | None
    is_empty: bool
    quoting: Quoting | None
    comment_start: int
    comment_end: int
    value: object
    anchor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """All top-level entries in order.

    ``rest`` stands for what follows them (the tables of TOML), equal for equal content only. ``is_flow`` is true
    for a YAML mapping in braces, which has no lines to edit. ``aliases`` are the YAML anchors in use.
    """

    entries: tuple[Entry, ...]
    rest: object = None
    is_flow: bool = False
    aliases: frozenset[str] = frozenset()

    def named(self, key: str) -> list[Entry]:
        """The entries with that key: more than one only in broken front matter."""
        return [entry for entry in self.entries if entry.key == key]


def line_end(text: str, position: int) -> int:
    """The offset of the line end (CR LF, LF or CR) at or after ``position``, else the text's length."""
    ends = [found for found in (text.find("\n", position), text.find("\r", position)) if found >= 0]
    return min(ends, default=len(text))


def next_line(text: str, position: int) -> int:
    """The offset of the line after the one that holds ``position``."""
    end = line_end(text, position)
    if text.startswith("\r\n", end):
        return end + 2
    return min(end + 1, len(text))


def line_number(text: str, position: int) -> int:
    """The 1-based line of ``position``."""
    before = text[:position]
    return 1 + before.count("\n") + before.count("\r") - before.count("\r\n")
