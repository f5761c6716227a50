"""Token counts without a tokenizer: an upper bound that holds for ordinary text."""

import re

_PIECES = re.compile(r"[A-Za-z]+|[0-9]|[ \t\r\f\v]+|\n+|[^\sA-Za-z0-9]|\s", re.ASCII)
_LETTERS_A_TOKEN = 3


def estimate_tokens(text: str) -> int:
    """At least as many tokens as a byte-level BPE of 100,000 entries or more needs for prose and code.

    A digit and an ASCII mark count one each, three letters of a word one, and a character outside ASCII
    as many as it has bytes less one; long random strings alone can need more.
    """
    total = 0
    for match in _PIECES.finditer(text):
        piece = match.group()
        if piece.isascii():
            total += -(-len(piece) // _LETTERS_A_TOKEN) if piece.isalpha() else 1
            total -= piece == " "  # a single space belongs to the next word's token
        else:
            total += max(1, len(piece.encode("utf-8", "surrogatepass")) - 1)
    return total
