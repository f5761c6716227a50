"""Sections so short that they are their own summary."""

from qsum_lsp.document import split_blocks
from qsum_lsp.summaries.nodes import Node
from qsum_lsp.text.words import words

# Markdown this many times longer than the limit holds more than a short text with long links would.
_MARKUP_SHARE = 4
_SENTENCE_ENDS = (".", "!", "?", ":", ";", ",", "…", "。", "！", "？", "：")


def verbatim_text(node: Node, *, max_chars: int, min_words: int) -> str | None:
    """What ``node`` says, where that is short enough to need no summary, else None.

    That is fewer than ``min_words`` words of prose within ``max_chars`` and nothing else: paragraphs follow
    each other, list items are joined by semicolons. Nothing but code on a single line is shown as it is, for it
    tells a reader more than a sentence about it. Longer code and tables are left to the model, and so is short
    prose that leads up to them. A section that holds no text at all, in no subsection either, is empty.
    """
    if not node.has_text:
        return ""
    if any(child.has_text for child in node.children) or len(node.own) > _MARKUP_SHARE * max_chars:
        return None
    blocks = split_blocks(node.own)
    texts = [text for block in blocks if (text := " ".join(block.text.split()))]
    if any(block.kind in ("code", "table") for block in blocks):
        only = blocks[0]
        if len(blocks) > 1 or only.kind != "code" or "\n" in only.text.strip():
            return None
        return texts[0] if texts and len(texts[0]) <= max_chars else None
    joined = ""
    for text in texts:
        separator = "" if not joined else " " if joined.endswith(_SENTENCE_ENDS) else "; "
        joined += separator + text
    return joined if len(joined) <= max_chars and len(words(joined)) < min_words else None
