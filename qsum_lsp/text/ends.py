"""How a sentence ends, in every script that has a mark for it."""

import re

FULL_STOPS = ".。．｡।۔။።։"
"""The marks that end a statement."""

STOPS = FULL_STOPS + "!?…！？॥؟፧។‼⁇⁈⁉"
"""The marks that end a sentence."""

# Quotes and brackets may close after them; French sets a space before its quotes.
_END = re.compile(rf"[{STOPS}](?:[ \u00a0\u202f]?[»›]|[\"'”’“‘«‹)\]}}」』）】》〉］])*\Z")


def is_ended(text: str) -> bool:
    """Whether ``text`` ends with the end of a sentence."""
    return _END.search(text) is not None
