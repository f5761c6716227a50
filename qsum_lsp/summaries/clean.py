"""What a model writes, made fit to be shown."""

import re

from qsum_lsp.text.sentences import split_sentences

_IMAGE = re.compile(r"!\[[^\]\n]*\]\([^)\n]*\)")
_LINK = re.compile(r"\[([^\]\n]*)\]\([^)\n]*\)")
_TAG = re.compile(r"</?[A-Za-z][^<>\n]*>")
_MARKS = re.compile(r"^[ \t]*(?:#{1,6}|[-*+>]|\d+[.)])[ \t]+|\*\*|__|`+", re.MULTILINE)
_OPENING = re.compile(
    r"^(?:(?:the|this) (?:section|page|document|text)\b\s*(?:describes|explains|covers|discusses|shows|is about)?|"
    r"summary:)\s*(?:that\s+|how\s+)?",
    re.IGNORECASE,
)


def clean_summary(raw: str, *, max_chars: int, title: str = "", language: str = "en") -> str:
    """Plain prose of whole sentences within ``max_chars``, or empty where nothing usable is left.

    Markdown, links, images, HTML and control characters go; so do openings such as "This section". Nothing is
    added.
    """
    text = _MARKS.sub("", _TAG.sub("", _LINK.sub(r"\1", _IMAGE.sub("", raw))))
    text = "".join(character if character.isprintable() else " " for character in text)
    text = _OPENING.sub("", " ".join(text.split()).removeprefix(f"{title}: "))
    text = text[:1].upper() + text[1:]
    kept = ""
    for sentence in split_sentences(text, language):
        longer = f"{kept} {sentence}" if kept else sentence
        if len(longer) > max_chars:
            break
        kept = longer
    return kept
