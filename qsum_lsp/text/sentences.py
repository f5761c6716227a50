"""Sentence boundaries, by Wikimedia's sentencex."""

import re
from collections.abc import Iterator, Sequence

import sentencex

_LIST_MARK = re.compile(r"\(?(?:\d{1,3}|[A-Za-z])[.)]")
_CLOSERS = "\"'”’»›)\\]}」』）】》〉］"
_UNSPACED_STOP = re.compile(rf"[。！？!?][{_CLOSERS}]*(?=[^\s{_CLOSERS}])")
_LONG_STRETCH = 4_000  # characters

_UNSPACED_LANGUAGES = ("zh", "ja")


def join_sentences(sentences: Sequence[str], language: str = "en") -> str:
    """``sentences`` as running text."""
    return ("" if language in _UNSPACED_LANGUAGES else " ").join(sentences)


def split_sentences(text: str, language: str = "en") -> list[str]:
    """The sentences of ``text``, stripped, empty ones left out. ``language`` is an ISO 639-1 code.

    A full stop inside a word, as in ``strings.Trim`` or ``.NET``, ends none, nor does that of a list mark ("1.").
    """
    sentences: list[str] = []
    joined = False
    for piece in _pieces(text, language):
        stripped = piece.strip()
        if not stripped:
            joined = False
            continue
        if sentences and _LIST_MARK.fullmatch(sentences[-1]):
            sentences[-1] += f" {stripped}"
        elif joined and piece[0].isascii() and piece[0].isalnum():
            sentences[-1] += stripped
        else:
            sentences.append(stripped)
        before = stripped[-2:-1]
        joined = piece[-1] == "." and before.isascii() and (before.isalnum() or before == " ")
    return sentences


def _pieces(text: str, language: str) -> Iterator[str]:
    """What sentencex makes of ``text``, a stretch at a time where sentences follow each other without a blank.

    Its time grows with the square of their number there.
    """
    start = stop = 0
    if len(text) > _LONG_STRETCH:
        for match in _UNSPACED_STOP.finditer(text):
            if match.end() - start > _LONG_STRETCH and stop > start:
                yield from sentencex.segment(language, text[start:stop])
                start = stop
            stop = match.end()
    yield from sentencex.segment(language, text[start:])
