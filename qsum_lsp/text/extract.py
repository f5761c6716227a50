"""The sentence of a text that says best what it is about."""

from collections.abc import Sequence


def best_sentence(paragraphs: Sequence[str], *, max_chars: int, title: str = "", language: str = "en") -> str:
    """The most telling sentence of plain ``paragraphs``, at most ``max_chars`` long; empty for no text.

    Deterministic. A sentence longer than the limit is cut at a clause, else at a word, and marked with "…".
    """
    raise NotImplementedError
