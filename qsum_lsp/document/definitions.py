"""Link reference definitions at the head of a paragraph (CommonMark 0.31.2, 4.7)."""

import re
from collections.abc import MutableMapping
from typing import Any

from mistune.helpers import parse_link_href, parse_link_title, unescape_char
from mistune.util import escape_url, unikey

_LABEL = re.compile(r"[ \t]*+\[((?>(?:[^\\\[\]]|\\.){0,999}))\]:", re.DOTALL)
_LINE_REST = re.compile(r"[ \t]*+(?:\n|\Z)")


def skip_definitions(text: str, links: MutableMapping[str, Any]) -> int:
    """Where the text behind the definitions that ``text`` begins with starts, 0 if there is none.

    They are added to ``links`` as mistune's inline parser wants them; the first one of a label counts.
    """
    position = 0
    while True:
        end = _skip_definition(text, position, links)
        if end is None:
            return position
        position = end


def _skip_definition(text: str, start: int, links: MutableMapping[str, Any]) -> int | None:
    label = _LABEL.match(text, start)
    key = unikey(label.group(1)) if label else ""
    if label is None or not key:
        return None
    href, href_end = parse_link_href(text, label.end(), block=True)
    if href is None or href_end is None:
        return None
    title, title_end = parse_link_title(text, href_end, len(text))
    rest = _LINE_REST.match(text, title_end) if title_end is not None else None
    if rest is None:
        title = None
        rest = _LINE_REST.match(text, href_end)
    if rest is None:
        return None
    link = {"url": escape_url(unescape_char(href)), "label": label.group(1)}
    if title:
        link["title"] = title
    links.setdefault(key, link)
    return rest.end()
