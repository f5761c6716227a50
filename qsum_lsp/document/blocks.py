"""The blocks of a Markdown text as a reader sees them: for prompts, chunking and extraction."""

import re
from collections.abc import Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qsum_lsp.document.block_state import ContainerKind, Leaf, PositionState
from qsum_lsp.document.document import markdown_source
from qsum_lsp.document.inline import reader_text
from qsum_lsp.document.site_markup import SiteParser, is_module_code, strip_tags
from qsum_lsp.document.tables import cells, find_table

BlockKind = Literal["heading", "paragraph", "list_item", "quote", "code", "table", "html"]

_PARAGRAPH_KINDS: dict[ContainerKind | None, BlockKind] = {"item": "list_item", "quote": "quote"}
_UNREAD_HTML = re.compile(
    r"<!--.*?(?:-->|\Z)|<(?P<tag>script|style)\b.*?(?:</(?P=tag)\s*>|\Z)|<[?!][^>]*+>?",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block. ``start`` and ``end`` are its character offsets in the parsed text.

    ``text`` is what a reader sees: inline markup, link targets, images, raw HTML tags and the tags of site
    generators are gone (``qsum_lsp.document.site_markup``); of a table the cells row by row, `` | `` between them; of
    code the code itself. ``info`` is a fence's info string; ``level`` a heading's.
    """

    kind: BlockKind
    start: int
    end: int
    text: str
    info: str = ""
    level: int = 0


def split_blocks(markdown: str) -> tuple[Block, ...]:
    """The leaf blocks of ``markdown``, which has no front matter, in order.

    What shows a reader no text is none: comments, link definitions, images, lone tags. A heading may be empty.
    """
    state = PositionState()
    state.process(markdown_source(markdown))
    SiteParser().parse(state)
    reader = _Reader(markdown, state.env)
    return tuple(block for leaf in state.leaves for block in reader.blocks(leaf) if block.text or block.level)


class _Reader:
    def __init__(self, markdown: str, env: MutableMapping[str, Any]) -> None:
        self._markdown = markdown
        self._env = env

    def blocks(self, leaf: Leaf) -> Iterator[Block]:
        """What ``leaf`` is to a reader: one block, or a table with a paragraph before it."""
        if leaf.kind == "paragraph":
            yield from self._paragraph(leaf)
            return
        content = self._content(leaf.spans)
        info = ""
        if leaf.kind == "heading":
            text = reader_text(content, self._env, images=True)
        elif leaf.kind == "code":
            text = content.strip("\n")
            info = leaf.info
        else:
            text = self._prose(_UNREAD_HTML.sub("", content))
        yield Block(kind=leaf.kind, start=leaf.start, end=leaf.end, text=text, info=info, level=leaf.level)

    def _paragraph(self, leaf: Leaf) -> Iterator[Block]:
        kind = _PARAGRAPH_KINDS.get(leaf.container, "paragraph")
        content = self._content(leaf.spans)
        if kind == "paragraph" and is_module_code(content):
            return
        header = find_table(content.split("\n")) if "|" in content else None
        if header is None:
            yield Block(kind=kind, start=leaf.start, end=leaf.end, text=self._prose(content))
            return
        lines = leaf.lines(self._markdown)
        if header > 0:
            text = self._prose(self._content(lines[:header]))
            yield Block(kind=kind, start=leaf.start, end=lines[header - 1][1], text=text)
        rows = content.rstrip("\n").split("\n")[header:]
        del rows[1]  # the delimiter row
        text = "\n".join([" | ".join([self._prose(cell) for cell in cells(row)]) for row in rows])
        start = lines[header][0] if header else leaf.start
        yield Block(kind="table", start=start, end=leaf.end, text=text)

    def _content(self, spans: Sequence[tuple[int, int]]) -> str:
        content = "\n".join([self._markdown[start:end] for start, end in spans])
        return content.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")

    def _prose(self, markdown: str) -> str:
        return reader_text(strip_tags(markdown), self._env, images=False)
