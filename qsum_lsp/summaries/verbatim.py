"""Sections so short that they are their own summary."""

import re
from functools import lru_cache

from qsum_lsp.document import split_blocks
from qsum_lsp.summaries.nodes import Node
from qsum_lsp.text.words import word_count

# Markdown this many times longer than the limit holds more than a short text with long links would.
_MARKUP_SHARE = 4
_SENTENCE_ENDS = (".", "!", "?", ":", ";", ",", "…", "。", "！", "？", "：")

# Markdown is slow to parse, and most sections show at a glance what they are.
_UNSEEN_TEXT = re.compile(r"<|!\[|\]:")  # HTML, images and link definitions have words that no reader sees
_PLAIN_WORD = re.compile(r"(?<!\S)[^\W\d_]+[.,;:!?]?(?!\S)")
_PLAIN_LINE = re.compile(r"[^\W\d_](?:[^\W_]|[ .,:;!?'’\"()/%-])*")


def verbatim_text(node: Node, *, max_chars: int, min_words: int) -> str | None:
    """What ``node`` says, where that is short enough to need no summary, else None.

    That is fewer than ``min_words`` words within ``max_chars``, and prose alone: paragraphs follow each other, list
    items are joined by semicolons. Nothing but code on a single line is shown as it is, for it tells a reader
    more than a sentence about it. More code than that and tables are left to the model, and so is short prose that
    leads up to them. A section that holds no text at all, in no subsection either, is empty.
    """
    if not node.has_text:
        return ""
    if any(child.has_text for child in node.children) or len(node.own) > _MARKUP_SHARE * max_chars:
        return None
    return _short_text(node.own, max_chars, min_words)


@lru_cache(maxsize=8192)  # an editor asks for the same sections after every key
def _short_text(markdown: str, max_chars: int, min_words: int) -> str | None:
    if not _UNSEEN_TEXT.search(markdown) and len(_PLAIN_WORD.findall(markdown)) >= min_words:
        return None
    text = markdown if _PLAIN_LINE.fullmatch(markdown) else visible_text(markdown)
    if text is None or len(text) > max_chars or word_count(text) >= min_words:
        return None
    return text


def visible_text(markdown: str) -> str | None:
    """All text on one line, or None where it holds code or a table beside other things."""
    blocks = [block for block in split_blocks(markdown) if block.text.strip()]
    if any(block.kind in ("code", "table") for block in blocks) and (
        len(blocks) > 1 or blocks[0].kind == "table" or "\n" in blocks[0].text.strip()
    ):
        return None
    joined = ""
    for block in blocks:
        separator = "" if not joined else " " if joined.endswith(_SENTENCE_ENDS) else "; "
        joined += separator + " ".join(block.text.split())
    return joined
