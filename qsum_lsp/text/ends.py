"""How a sentence ends, in every script that has a mark for it."""

import re

# Stops, and the quotes and brackets that may close after them; French sets a space before its quotes.
_END = re.compile(r"[.!?…。！？．｡।॥؟۔။።፧។։‼⁇⁈⁉](?:[ \u00a0\u202f]?[»›]|[\"'”’“‘«‹)\]}」』）】》〉］])*\Z")


def is_ended(text: str) -> bool:
    """Whether ``text`` ends with the end of a sentence."""
    return _END.search(text) is not None
