"""Markdown that a model writes, as plain prose on one line."""

import html
import re
import unicodedata

from qsum_lsp.text.ends import STOPS, is_ended
from qsum_lsp.text.sentences import split_sentences

_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)
_WHOLE_SENTENCE = re.compile(r"[.!?…。！？]\s")
_IMAGE = re.compile(r"!\[[^\]\n]*\](?:\([^)\n]*\)|\[[^\]\n]*\])")
_LINK = re.compile(r"\[([^\]\n]+)\](?:\([^)\n]*\)|\[[^\]\n]*\])")
_ALERT = re.compile(r"\[!(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION|INFO)\][ \t]*", re.IGNORECASE)
_AUTOLINK = re.compile(r"<(?=https?://|mailto:)([^<>\s]+)>")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"</?[A-Za-z][\w-]*(?:\s[^<>\n]*)?/?>")
_HEADING = re.compile(r"\A\s*(?:#{1,6}[ \t]+[^\n]+|\*\*[^*\n]+\*\*[ \t]*)\n\s*(?=\S)")
_LINE_MARK = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?)", re.MULTILINE)
_ITEM = re.compile(
    r"(?:\A|\n)[ \t]*(?:[-*+•]|(?P<number>\d{1,2})[.)])[ \t]+(?=\S)"
    r"|(?P<before>[.:;!?])[ \t]+(?P<inline>\d{1,2})[.)][ \t]+(?=\S)"
)
_STRONG = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_EMPHASIS = re.compile(r"(?<![\w*])([*_])(?=\S)([^*_\n]+?)(?<=\S)\1(?![\w*])")
_CODE = re.compile(r"`+([^`\n]*)`+")
_LOOSE_MARK = re.compile(r"(?<=\w) ([.,;!?])(?=\s|$)")


def plain_text(markdown: str) -> str:
    """``markdown`` without markup, on one line.

    A heading before the text goes, and so do a block of code after a sentence and what follows it. Items of a list that follow a colon, or that have no ends of their own, are
    joined by semicolons, as one sentence; other items are sentences.
    """
    fence = _FENCE.search(markdown)
    if fence and _WHOLE_SENTENCE.search(markdown, 0, fence.start()):
        markdown = markdown[: fence.start()]
    text = _HEADING.sub("", _TAG.sub("", _COMMENT.sub("", _FENCE.sub("", markdown))))
    text = _AUTOLINK.sub(r"\1", _LINK.sub(r"\1", _IMAGE.sub("", _ALERT.sub("", text))))
    text = _CODE.sub(r"\1", _without_items(_LINE_MARK.sub("", text)))
    text = _EMPHASIS.sub(r"\2", _STRONG.sub(r"\2", text)).replace("**", "").replace("`", "")
    text = html.unescape(text)
    if not text.isascii() or not text.isprintable():
        text = "".join(
            " " if unicodedata.category(character) in ("Cc", "Zl", "Zp", "Co", "Cn", "Cs") else character
            for character in text
            if unicodedata.category(character) != "Cf" or character in "\u200c\u200d"
        )
    return _LOOSE_MARK.sub(r"\1", " ".join(text.split()))


def _without_items(text: str) -> str:
    """``text`` with its first list as prose, and any later list without its marks."""
    marks: list[re.Match[str]] = []
    number = 0
    for match in _ITEM.finditer(text):
        inline = match["inline"]
        # "needs Python 3. 5. is too old": numbers inside a line are marks where they count on from 1
        if inline is None or int(inline) == number + 1:
            marks.append(match)
            number = int(inline or match["number"] or 0)
    if not marks:
        return text
    lead = (text[: marks[0].start()] + (marks[0]["before"] or "")).strip()
    starts = [mark.end() for mark in marks]
    ends = [mark.start() + len(mark["before"] or "") for mark in marks[1:]]
    last, _, rest = text[starts[-1] :].partition("\n\n")
    items = [text[start:end].strip() for start, end in zip(starts, ends, strict=False)] + [last.strip()]
    loose = not any(is_ended(item) for item in items)
    sentence = lead.endswith((":", "：")) or (not lead and loose)
    if sentence and len(items) > 1 and all(len(split_sentences(item)) < 2 for item in items):
        items = [*(item.rstrip(STOPS + ";,") for item in items[:-1]), items[-1].rstrip(";,")]
        joined = "; ".join(items)
    else:
        joined = " ".join(items)
    rest = rest.strip()
    if rest and not is_ended(joined):
        joined += "."
    return " ".join(filter(None, (lead, joined, rest)))
