"""Inline markup as a reader sees it."""

import re
from collections.abc import Iterable, MutableMapping
from typing import Any

from mistune.inline_parser import InlineParser
from mistune.util import unescape

_MARKUP = re.compile(r"[\\`*_\[\]<&\n]")
_SPACES = re.compile(r"[ \t\n]+")
_parser = InlineParser()


def reader_text(source: str, env: MutableMapping[str, Any], *, images: bool) -> str:
    """The text of inline Markdown: markup and HTML tags gone, entities decoded, runs of white space one space.

    ``env`` holds the link reference definitions as mistune keeps them. An image is its alternative text if
    ``images``, else nothing.
    """
    if _MARKUP.search(source):
        source = "".join(_texts(_parser(source, env), images=images))
    return _SPACES.sub(" ", source).strip(" ")


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
