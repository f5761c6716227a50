"""The blocks of a Markdown text as a reader sees them: for prompts, chunking and extraction."""

from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["heading", "paragraph", "list_item", "quote", "code", "table", "html"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block. ``start`` and ``end`` are its character offsets in the parsed text.

    ``text`` is what a reader sees: inline markup, link targets, images and raw HTML tags are gone; of a table
    the cells row by row, of code the code itself. ``info`` is a fence's info string; ``level`` a heading's.
    """

    kind: BlockKind
    start: int
    end: int
    text: str
    info: str = ""
    level: int = 0


def split_blocks(markdown: str) -> tuple[Block, ...]:
    """The leaf blocks of ``markdown`` in order; comments and link definitions are none."""
    raise NotImplementedError
