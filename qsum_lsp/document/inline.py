"""Inline markup as a reader sees it."""

import re
from collections.abc import Iterable, MutableMapping
from re import Match
from typing import Any

from mistune.core import InlineState
from mistune.inline_parser import InlineParser
from mistune.util import unescape

_MARKUP = re.compile(r"[\\`*_\[\]<&\n]")
_SPACES = re.compile(r"[ \t\n]+")
_PIECE_END = re.compile(r"[ \t\n]")
_LONGEST = 10_000
_DECLARATION = re.compile(r"<![A-Za-z]")


class _InlineParser(InlineParser):
    """Mistune's, with raw HTML as in CommonMark (6.6): ``<!X>`` is a declaration, ``<a>`` opens no link."""

    def parse_inline_html(self, m: Match[str], state: InlineState) -> int | None:
        start = m.start()
        if _DECLARATION.match(state.src, start):
            closing = state.delimiters.find(">", start)
            if closing is None:
                return None
            state.append_token({"type": "inline_html", "raw": state.src[start : closing + 1]})
            return closing + 1
        in_link = state.in_link
        end = super().parse_inline_html(m, state)
        state.in_link = in_link
        return end


_parser = _InlineParser()


def reader_text(source: str, env: MutableMapping[str, Any], *, images: bool) -> str:
    """The text of inline Markdown: markup and HTML tags gone, entities decoded, runs of white space one space.

    ``env`` holds the link reference definitions as mistune keeps them. An image is its alternative text if
    ``images``, else nothing.
    """
    if _MARKUP.search(source):
        source = "".join(
            [text for piece in _pieces(source) for text in _texts(_parser(piece, env), images=images)]
        )
    return _SPACES.sub(" ", source).strip(" ")


def _pieces(source: str) -> Iterable[str]:
    """``source`` cut at white space where it is very long: mistune's time for odd emphasis grows as its square."""
    start = 0
    while len(source) - start > _LONGEST:
        cut = _PIECE_END.search(source, start + _LONGEST)
        end = cut.start() if cut else len(source)
        yield source[start:end]
        start = end
    yield source[start:]


def _texts(tokens: Iterable[dict[str, Any]], *, images: bool) -> Iterable[str]:
    for token in tokens:
        kind = token["type"]
        if kind == "text":
            yield unescape(token["raw"])
        elif kind == "codespan":
            yield token["raw"]
        elif kind in ("softbreak", "linebreak"):
            yield " "
        elif kind != "image" or images:
            yield from _texts(token.get("children", ()), images=images)
