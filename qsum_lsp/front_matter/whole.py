"""Summaries that end where a sentence ends."""

from collections.abc import Sequence

from qsum_lsp.document import Document, split_blocks
from qsum_lsp.document.page_title import page_title
from qsum_lsp.text.extract import best_whole_sentence
from qsum_lsp.text.language import guess_language

_PROSE = frozenset({"paragraph", "list_item", "quote"})


def whole_sentence(document: Document, limits: Sequence[int]) -> str:
    """The most telling sentence of the page that fits the first of ``limits`` that any sentence fits, else empty."""
    body = document.text[document.body_start :]
    paragraphs = [block.text for block in split_blocks(body) if block.kind in _PROSE]
    language = guess_language("\n".join(paragraphs))
    title = page_title(document)
    for limit in limits:
        found = best_whole_sentence(paragraphs, max_chars=limit, title=title, language=language)
        if found:
            return found
    return ""
