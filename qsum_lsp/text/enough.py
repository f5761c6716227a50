"""When an answer that is still being written holds all that will be used of it."""

import re

from qsum_lsp.text.ends import STOPS
from qsum_lsp.text.language import guess_language
from qsum_lsp.text.plain import plain_text
from qsum_lsp.text.sentences import split_sentences

_STOP = re.compile(f"[{STOPS}]")
_BEGUN_CHARS = 8  # of the sentence after the last: what looks like an end may be an abbreviation


def is_enough(text: str, *, chars: int | None, sentences: int | None) -> bool:
    """Whether ``text`` has more than ``chars`` characters, or has begun the sentence after ``sentences``.

    ``text`` is Markdown as a model writes it; its sentences are those of ``plain_text``.
    """
    if chars is not None and len(text) > chars:
        return True
    if sentences is None or len(_STOP.findall(text)) < sentences:
        return False
    plain = plain_text(text)
    later = split_sentences(plain, guess_language(plain))[sentences:]
    return len(" ".join(later)) >= _BEGUN_CHARS
