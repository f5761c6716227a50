"""A summary as a value on one line of YAML, TOML or JSON."""

import json
import re
import unicodedata
from typing import Literal

from qsum_lsp.front_matter.entries import Quoting

_NO_BIDI = dict.fromkeys(
    map(ord, "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
)
# A letter first, a space inside and none of these: text in every version of YAML, never a number, date or null.
_NOT_PLAIN = re.compile(r":(?:\s|$)|\s#|\t")


def one_line(text: str) -> str:
    """``text`` as one line that every format can hold.

    White space and control characters become single spaces; surrogates, unassigned code points, byte order marks
    and directional controls go.
    """
    kept = []
    for character in text.translate(_NO_BIDI):
        category = unicodedata.category(character)
        if category in ("Cc", "Zl", "Zp", "Zs"):
            kept.append(" ")
        elif category not in ("Cs", "Cn"):
            kept.append(character)
    return " ".join("".join(kept).split())


def write_scalar(text: str, *, kind: Literal["yaml", "toml", "json"], quoting: Quoting) -> str:
    """The one-line ``text`` as a value, in ``quoting`` where the text allows it, else in double quotes."""
    if kind == "json":
        return json.dumps(text, ensure_ascii=False)
    if kind == "yaml" and quoting == "plain" and _fits_plain(text):
        return text
    if quoting == "single" and (kind == "yaml" or "'" not in text):
        return "'" + text.replace("'", "''") + "'"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fits_plain(text: str) -> bool:
    return text[:1].isalpha() and " " in text and _NOT_PLAIN.search(text) is None
