"""Front matter: the metadata block before a Markdown text."""

import re
from dataclasses import dataclass
from typing import Literal

from qsum_lsp.document.lines import LINE_END

_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMatter:
    """The block as it stands in the file, positions as in ``Section``.

    ``start``/``end`` take in the delimiters and the line end behind the closing one; ``content_start`` and
    ``content_end`` enclose what a YAML, TOML or JSON parser is to be given (of JSON the object with its braces).
    """

    kind: Literal["yaml", "toml", "json"]
    start: int
    end: int
    content_start: int
    content_end: int
    line: int
    end_line: int


def first_character(text: str) -> int:
    """Where ``text`` begins: behind a byte order mark, where it has one."""
    return len(_BYTE_ORDER_MARK) if text.startswith(_BYTE_ORDER_MARK) else 0


def split_front_matter(text: str) -> FrontMatter | None:
    """The front matter of ``text``, or None where it begins with none.

    It must be the very first thing in the text, behind at most a byte order mark, and it must be closed:

    - YAML: a line ``---``, closed by the next line ``---`` or ``...``. Since ``---`` is also a thematic break, the
      lines between must be a mapping to the eye: the first one that is neither blank nor a comment begins with a
      key (``title:``, ``"title":``, ``? ``), at most three spaces in, a tag, an anchor or a flow mapping; or there is
      no such line. Whether the YAML is valid is for its parser to say.
    - TOML: a line ``+++``, closed by the next line ``+++``.
    - JSON: an object that begins with ``{`` and a quoted key (or is empty), closed by the brace that matches and
      nothing else on that line. ``{{< shortcode >}}`` and ``{% tag %}`` are none.

    Delimiters stand at the line's start; spaces and tabs may follow them. Jekyll, Hugo and gray-matter agree on
    this but for the content rule, which keeps a page that opens with a thematic break whole.
    """
    start = first_character(text)
    if text.startswith("{", start):
        return _json(text, start)
    if text.startswith("---", start):
        return _fenced("yaml", text, start, _YAML_OPEN, _YAML_CLOSE)
    if text.startswith("+++", start):
        return _fenced("toml", text, start, _TOML_OPEN, _TOML_CLOSE)
    return None


_END = r"[ \t]*+(?:\r\n?|\n|\Z)"
_LINE_START = r"(?:(?<=\n)|(?<=\r)(?!\n))"
_YAML_OPEN = re.compile("---" + _END)
_YAML_CLOSE = re.compile(_LINE_START + r"(?:---|\.\.\.)" + _END)
_TOML_OPEN = re.compile(r"\+\+\+" + _END)
_TOML_CLOSE = re.compile(_LINE_START + r"\+\+\+" + _END)
_YAML_SKIPPED = re.compile(r"(?>(?:[ \t]*+(?:#[^\r\n]*+)?(?:\r\n?|\n))*)")
_YAML_MAPPING = re.compile(
    r"""[ ]{0,3}(?:"(?>(?:[^"\\\r\n]|\\[^\r\n])*)"|'(?>(?:[^'\r\n]|'')*)'|[^\s"'#\[\]{},>|%@`*&!-][^\r\n]*?|-[^\s-][^\r\n]*?)"""
    r""":(?=\s|\Z)|\?[ \t]|[!&][^\s]|\{(?![{%])"""
)
_JSON_OPEN = re.compile(r'\{\s*+["}]')
_JSON_TOKEN = re.compile(r'"(?>(?:[^"\\]|\\.)*)"?|[{}]', re.DOTALL)
_REST_OF_LINE = re.compile(_END)


def _fenced(
    kind: Literal["yaml", "toml"], text: str, start: int, opening: re.Pattern[str], closing: re.Pattern[str]
) -> FrontMatter | None:
    opened = opening.match(text, start)
    closed = closing.search(text, opened.end()) if opened else None
    if opened is None or closed is None:
        return None
    content = slice(opened.end(), closed.start())
    if kind == "yaml" and not _looks_like_mapping(text, content):
        return None
    return _front_matter(kind, text, slice(start, closed.end()), content)


def _looks_like_mapping(text: str, content: slice) -> bool:
    skipped = _YAML_SKIPPED.match(text, content.start, content.stop)
    first = skipped.end() if skipped else content.start
    return first >= content.stop or _YAML_MAPPING.match(text, first, content.stop) is not None


def _json(text: str, start: int) -> FrontMatter | None:
    if not _JSON_OPEN.match(text, start):
        return None
    depth = 0
    for token in _JSON_TOKEN.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(token.group(), 0)
        if depth == 0:
            rest = _REST_OF_LINE.match(text, token.end())
            if rest is None:
                return None
            return _front_matter("json", text, slice(start, rest.end()), slice(start, token.end()))
    return None


def _front_matter(
    kind: Literal["yaml", "toml", "json"], text: str, block: slice, content: slice
) -> FrontMatter:
    line_ends = sum(1 for _ in LINE_END.finditer(text, block.start, block.stop))
    return FrontMatter(
        kind=kind,
        start=block.start,
        end=block.stop,
        content_start=content.start,
        content_end=content.stop,
        line=1,
        end_line=line_ends if text.endswith(("\n", "\r"), block.start, block.stop) else line_ends + 1,
    )
