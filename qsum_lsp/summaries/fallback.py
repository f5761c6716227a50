"""What stands in where the model has no usable answer."""

from qsum_lsp.document import split_blocks
from qsum_lsp.summaries.answer import Answer
from qsum_lsp.summaries.clean import clean_summary
from qsum_lsp.summaries.prompt import PromptInput
from qsum_lsp.text.extract import CUT, best_sentence, best_whole_sentence, shorten
from qsum_lsp.text.language import guess_language

FALLBACK_NOTE = "The best sentence of the text, since"
"""How the note of every fallback begins."""


def extract(prompt_input: PromptInput, source: str, *, why: str, lasting: bool = True) -> Answer:
    """The best sentence of the text, else of its parts' summaries, else the first line of its code.

    ``why`` completes the note.
    """
    blocks = split_blocks(prompt_input.markdown)
    prose = [block.text for block in blocks if block.kind in ("paragraph", "list_item", "quote")]
    paragraphs = prose or [summary for _, summary in prompt_input.parts]
    title = prompt_input.headings[-1] if prompt_input.headings else ""
    language = guess_language(source)
    text = best_sentence(paragraphs, max_chars=prompt_input.max_chars, title=title, language=language)
    if text.endswith(CUT):
        whole = best_whole_sentence(
            paragraphs, max_chars=prompt_input.max_chars, title=title, language=language
        )
        text = whole or text
    text = clean_summary(text, max_chars=prompt_input.max_chars, title=title, language=language) or text
    if not text:
        first = next((line for line in source.split("\n") if line.strip()), "")
        text = shorten(" ".join(first.split()), max_chars=prompt_input.max_chars)
    return Answer(text=text, source="extractive", note=f"{FALLBACK_NOTE} {why}.", lasting=lasting)
