"""The block quote that holds a section's summary below its heading, where somebody had it inserted."""

import re

LABEL = "**Summary:**"
"""What such a quote begins with."""

_INSERTED = re.compile(
    rf"(?>(?:[ \t]*+(?:\r\n?+|\n))*)(?P<quote> {{0,3}}>[ \t]?{re.escape(LABEL)}[^\r\n]*(?:(?:\r\n?|\n) {{0,3}}>[^\r\n]*)*)"
)


def find_inserted_summary(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Where the quote stands that is the first block between the offsets ``start`` and ``end``; no line end behind it."""
    if not text.startswith((" ", "\t", "\r", "\n", ">"), start):
        return None
    found = _INSERTED.match(text, start, end)
    return found.span("quote") if found else None


def without_inserted_summary(text: str) -> str:
    """``text`` from below a heading without such a quote: a summary is not made from a summary."""
    found = find_inserted_summary(text, 0, len(text))
    return text if found is None else text[: found[0]] + text[found[1] :]
