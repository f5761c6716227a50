"""Summaries that end where a sentence ends."""

from collections.abc import Sequence

from qsum_lsp.document import Document, split_blocks
from qsum_lsp.document.page_title import page_title
from qsum_lsp.text.extract import best_sentence
from qsum_lsp.text.language import guess_language
from qsum_lsp.text.sentences import split_sentences

CUT = "…"
"""What marks a sentence that was cut to fit."""

_PROSE = frozenset({"paragraph", "list_item", "quote"})


def whole_sentence(document: Document, limits: Sequence[int]) -> str:
    """The most telling sentence of the page that fits the first of ``limits`` that any sentence fits, else empty."""
    body = document.text[document.body_start :]
    paragraphs = [block.text for block in split_blocks(body) if block.kind in _PROSE]
    language = guess_language("\n".join(paragraphs))
    sentences = [split_sentences(" ".join(paragraph.split()), language) for paragraph in paragraphs]
    for limit in limits:
        fitting = [" ".join(one for one in some if len(one) <= limit) for some in sentences]
        found = best_sentence(
            [text for text in fitting if text], max_chars=limit, title=page_title(document), language=language
        )
        if found and not found.endswith(CUT):
            return found
    return ""
