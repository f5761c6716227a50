"""What stands in where the model has no usable answer."""

from collections.abc import Sequence

from qsum_lsp.document import Block, split_blocks
from qsum_lsp.summaries.answer import Answer
from qsum_lsp.summaries.clean import clean_summary
from qsum_lsp.summaries.prompt import PromptInput
from qsum_lsp.summaries.verbatim import visible_text
from qsum_lsp.text.extract import CUT, best_sentence, best_whole_sentence, shorten
from qsum_lsp.text.language import guess_language

FALLBACK_NOTE = "The best sentence of the text, since"
"""How the note of a page's fallback begins."""
_LEAD_IN_ENDS = (":", "：")


def extract(prompt_input: PromptInput, source: str, *, why: str, lasting: bool = True) -> Answer:
    """The text where it is short, else its best sentence, else that of its parts' summaries, else how its table or code begins.

    ``why`` completes the note.
    """
    max_chars = prompt_input.max_chars
    if not prompt_input.is_page and not prompt_input.parts:
        whole = visible_text(prompt_input.markdown)
        if whole and len(whole) <= max_chars:
            return Answer(
                text=whole, source="extractive", note=f"The text itself, since {why}.", lasting=lasting
            )
    blocks = split_blocks(prompt_input.markdown)
    prose = [block.text for block in blocks if block.kind in ("paragraph", "list_item", "quote")]
    paragraphs = prose or [summary for _, summary in prompt_input.parts]
    title = prompt_input.headings[-1] if prompt_input.headings else ""
    language = guess_language(source)
    text = best_sentence(paragraphs, max_chars=max_chars, title=title, language=language)
    if text.endswith(CUT):
        text = best_whole_sentence(paragraphs, max_chars=max_chars, title=title, language=language) or text
    text = _with_items(text, blocks, max_chars)
    text = clean_summary(text, max_chars=max_chars, title=title, language=language) or text
    if not text:
        text = shorten(_beginning(blocks, source), max_chars=max_chars)
    return Answer(text=text, source="extractive", note=f"{FALLBACK_NOTE} {why}.", lasting=lasting)


def _with_items(text: str, blocks: Sequence[Block], max_chars: int) -> str:
    """``text``, and where it leads in to a list as many of the items as fit."""
    if not text.endswith(_LEAD_IN_ENDS):
        return text
    after = iter(blocks)
    for block in after:
        if block.text.endswith(text):
            break
    items: list[str] = []
    for block in after:
        item = " ".join(block.text.split()).rstrip(".;,")
        if block.kind != "list_item" or len("; ".join((*items, item))) + len(text) + 2 > max_chars:
            break
        items.append(item)
    return f"{text} {'; '.join(items)}." if items else text


def _beginning(blocks: Sequence[Block], source: str) -> str:
    """The first column of a table that has no prose around it, else the first line of code."""
    for block in blocks:
        if block.kind == "table":
            head, *rows = (line.partition(" | ")[0].strip() for line in block.text.split("\n"))
            cells = "; ".join(filter(None, rows))
            return f"{head}: {cells}" if head and cells else head or cells
    return " ".join(next((line for line in source.split("\n") if line.strip()), "").split())
