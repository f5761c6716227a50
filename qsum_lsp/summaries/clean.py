"""What a model writes, made fit to be shown."""

import re

from qsum_lsp.summaries.openings import speaks_of_itself, without_label, without_opening
from qsum_lsp.text.ends import is_ended
from qsum_lsp.text.plain import plain_text
from qsum_lsp.text.sentences import join_sentences, split_sentences

_SPACED_COLON = re.compile(r"(?<=\w) :(?=\s)")
_SENTENCE_END = re.compile(r"[.!?](?:\s|$)")
_ABRUPT = re.compile(
    r"(?:[,;:–—(-]|\b(?:a|an|the|of|and|or|to|for|with|in|on|by|as|at|from|that|which|is|are|its|their|your|such))$",
    re.IGNORECASE,
)
# Thai has no full stop; where none is named it is "."
_STOPS = {"zh": "。", "ja": "。", "th": "", "hi": "।", "bn": "।", "pa": "।", "my": "။", "am": "።", "hy": "։"}
# Where a sentence may end early and still be one: what follows only adds to it.
_AFTERTHOUGHT = re.compile(
    r"(?:,\s+(?:including|such as|as well as|along with|and also|with (?:a |an |the )?(?:focus|emphasis)|which|"
    r"where|while|so that|(?:and\s+)?\w{4,}ing\b)|;\s+|\s+[–—]\s+)"
)
_DESCRIPTION_WORDS = 20
_SHORTEST_HEAD = 6  # words before an afterthought that make a sentence


def clean_summary(
    raw: str, *, max_chars: int, title: str = "", language: str = "en", whole: bool = True
) -> str:
    """Plain prose of whole sentences within ``max_chars``, or empty where nothing usable is left.

    Markdown, links, images, HTML and control characters go; so do openings such as "This section", labels, a copied
    heading path and a repeated ``title`` before a colon. A last sentence without an end is dropped where others remain; a first one
    that is too long, or broken off since the answer is not ``whole``, ends before an afterthought. Nothing is added
    but a full stop.
    """
    sentences: list[str] = []
    markdown = raw if language == "fr" else _SPACED_COLON.sub(":", raw)
    plain = _without_path(without_label(plain_text(markdown), title), title)
    text = without_opening(plain, title=title, language=language)
    opened = text.casefold() != plain.casefold()  # and later sentences may lean on what went
    found = split_sentences(text, language)
    if len(found) > 1 and not is_ended(found[-1]):
        found.pop()
    for sentence in found:
        told = sentence
        if sentences:
            told = without_opening(
                sentence, title=title, language=language, before="opened" if opened else "whole"
            )
            if speaks_of_itself(told, language=language):
                continue
        ended = _ended(told, language)
        if len(join_sentences((*sentences, ended), language)) > max_chars or (
            not whole and not is_ended(told)
        ):
            if not sentences and (shorter := _shorter(told, max_chars, language)):
                sentences.append(shorter)
            break
        sentences.append(ended)
    return join_sentences(sentences, language)


def first_sentences(summary: str, count: int | None, *, language: str = "en") -> str:
    """The first ``count`` sentences of a cleaned ``summary``, all where it is None."""
    if count is None:
        return summary
    return join_sentences(split_sentences(summary, language)[:count], language)


def description_of(summary: str, *, language: str = "en") -> str:
    """The first sentence of a cleaned ``summary``, without afterthoughts where it has over twenty words.

    People write one sentence of 16 words over a page, and models add what else there is ("…, including …").
    """
    first = next(iter(split_sentences(summary, language)), "")
    if len(first.split()) <= _DESCRIPTION_WORDS:
        return first
    heads = [first[: match.start()] for match in _AFTERTHOUGHT.finditer(first)]
    heads = [head for head in heads if len(head.split()) >= _SHORTEST_HEAD]
    short = [head for head in heads if len(head.split()) <= _DESCRIPTION_WORDS] or heads[:1]
    return _ended(short[-1].rstrip(" ,;"), language) or first if short else first


def _without_path(text: str, title: str) -> str:
    """``text`` without the headings above ``title``, which small models copy: "Guide > Install covers …"."""
    path, found, rest = text.partition(f" > {title}")
    return title + rest if title and found and not _SENTENCE_END.search(path) else text


def _ended(sentence: str, language: str) -> str:
    """``sentence`` with the end mark of its language; empty where it breaks off."""
    if not sentence or is_ended(sentence):
        return sentence
    if _ABRUPT.search(sentence):
        return ""
    return sentence + _STOPS.get(language, ".")


def _shorter(sentence: str, max_chars: int, language: str) -> str:
    """``sentence`` up to the last afterthought within ``max_chars``, or empty where it has none."""
    ends = [
        match.start()
        for match in _AFTERTHOUGHT.finditer(sentence)
        if match.start() < max_chars and len(sentence[: match.start()].split()) >= _SHORTEST_HEAD
    ]
    return _ended(sentence[: ends[-1]].rstrip(" ,;"), language) if ends else ""
