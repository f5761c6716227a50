"""What markdown-it-py makes of a text: the second opinion of these tests."""

import re
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from qsum_lsp.document import Document, Section


@dataclass(frozen=True)
class Heading:
    """A top-level heading; ``line`` is 1-based."""

    level: int
    title: str
    line: int


_markdown_it = MarkdownIt("commonmark", {"maxNesting": 10_000})


def reference_headings(body: str, *, first_line: int = 1) -> list[Heading]:
    """The top-level headings of ``body``, whose first line is line ``first_line`` of the file."""
    tokens = _markdown_it.parse(body)
    return [
        Heading(int(token.tag[1]), _text(tokens[index + 1].children or []), token.map[0] + first_line)
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.level == 0 and token.map
    ]


def own_headings(document: Document) -> list[Heading]:
    """The same of our own parser."""
    return [_own(section) for section in document.walk() if section.level > 0]


def _own(section: Section) -> Heading:
    return Heading(section.level, section.title, section.line)


def _text(tokens: list[Token]) -> str:
    parts = []
    for token in tokens:
        if token.type in ("text", "code_inline", "text_special"):
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif token.type == "image":
            parts.append(_text(token.children or []))
    return re.sub(r"[ \t\n]+", " ", "".join(parts)).strip(" ")
