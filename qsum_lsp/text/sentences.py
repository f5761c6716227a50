"""Sentence boundaries, by Wikimedia's sentencex."""

import sentencex


def split_sentences(text: str, language: str = "en") -> list[str]:
    """The sentences of ``text``, stripped, empty ones left out. ``language`` is an ISO 639-1 code."""
    return [stripped for sentence in sentencex.segment(language, text) if (stripped := sentence.strip())]
