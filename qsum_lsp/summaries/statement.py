"""A page's own statement of what it is about, where its author made one, and the best sentence of a long page.

Such a sentence is what the author would have written as the description: either it says what the page does ("This
guide shows how to …"), or it says what the page's subject is ("The distribution layer … provides …").
"""

import re
from functools import lru_cache

from qsum_lsp.document import split_blocks
from qsum_lsp.summaries.clean import clean_summary
from qsum_lsp.summaries.openings import talks_of_page
from qsum_lsp.text.extract import CUT, best_sentence
from qsum_lsp.text.sentences import split_sentences
from qsum_lsp.text.words import content_words, word_count, words

_PARAGRAPHS = 3
_SENTENCES = 3  # of a paragraph
_FEWEST_WORDS = 5
_MOST_WORDS = 28
_LONG_WORDS = 1_500
_READ_OF_LONG = 24_000  # characters: enough to tell, and an editor waits for it
_LONGEST_SENTENCE = 280  # so that a tight limit takes no worse sentence, but leaves the page to the model
_LOOKED_AT = 6_000  # characters of the page; own statements stand at its beginning
_BEGINNING = 5  # letters of a word that its family shares
_BEFORE_SUBJECT = 2  # words, such as an article, before the title's words in a definition
_POINTS_ELSEWHERE = re.compile(
    r"^(?:I|we)(?:['’]ll|\s)|\b(?:below|above|following|previous|next|here|also|instead|e\.g\.|for example|screenshot|figure)\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=256)  # an editor asks for the same page after every key
def own_statement(markdown: str, *, title: str, max_chars: int, language: str = "en") -> str:
    """The statement as a summary within ``max_chars``, or empty where the page's beginning has none."""
    definition = ""
    for number, paragraph in enumerate(_first_paragraphs(markdown)):
        for index, sentence in enumerate(split_sentences(paragraph, language)[:_SENTENCES]):
            purpose = talks_of_page(sentence, language)
            if not purpose and (definition or index or number or not _defines(sentence, title, language)):
                continue
            text = clean_summary(sentence, max_chars=max_chars, title=title, language=language)
            if not _FEWEST_WORDS <= word_count(text) <= _MOST_WORDS or _POINTS_ELSEWHERE.search(text):
                continue
            if not purpose:
                definition = text
            elif _shares_a_word(text, title, language):
                return text
    return definition


@lru_cache(maxsize=256)
def sentence_of_long_page(markdown: str, *, title: str, max_chars: int, language: str = "en") -> str:
    """The most telling sentence of a page of over 1,500 words, or empty for a shorter one and where it is too long.

    A model is shown how a page begins. The longer the page, the more a sentence chosen by what the whole of it is
    about beats what a small model makes of its beginning (docs/quality.md).
    """
    if len(markdown.split()) <= _LONG_WORDS:  # which is sooner told than what is read of it
        return ""
    blocks = split_blocks(markdown[:_READ_OF_LONG])
    if sum(len(block.text.split()) for block in blocks) <= _LONG_WORDS:
        return ""
    paragraphs = [block.text for block in blocks if block.kind in ("paragraph", "list_item", "quote")]
    sentence = best_sentence(
        paragraphs, max_chars=max(max_chars, _LONGEST_SENTENCE), title=title, language=language
    )
    text = clean_summary(sentence, max_chars=max_chars, title=title, language=language)
    return "" if text.endswith(CUT) else text


def _shares_a_word(text: str, title: str, language: str) -> bool:
    """Whether ``text`` is about what ``title`` names, as far as one word of the same beginning shows."""
    named = {word[:_BEGINNING] for word in content_words(title, language)}
    return not named or any(word[:_BEGINNING] in named for word in content_words(text, language))


def _first_paragraphs(markdown: str) -> list[str]:
    found: list[str] = []
    headings = 0
    for block in split_blocks(markdown[:_LOOKED_AT]):
        if block.kind == "heading":
            headings += 1
            if found or headings > 2:
                break
        elif block.kind == "paragraph":
            found.append(" ".join(block.text.split()))
            if len(found) == _PARAGRAPHS:
                break
    return found


def _defines(sentence: str, title: str, language: str) -> bool:
    """Whether ``sentence`` begins with what ``title`` names."""
    wanted = set(content_words(title, language))
    if not wanted:
        return False
    spoken = words(sentence)
    begun = " ".join(spoken[: _BEFORE_SUBJECT + len(words(title))])
    return wanted <= set(content_words(begun, language)) and bool(
        set(content_words(spoken[0], language)) & wanted or spoken[0] in _ARTICLES
    )


_ARTICLES = frozenset(
    [
        "the",
        "a",
        "an",
        "der",
        "die",
        "das",
        "ein",
        "eine",
        "le",
        "la",
        "les",
        "l",
        "un",
        "une",
        "el",
        "los",
        "las",
        "una",
        "o",
        "os",
        "as",
        "um",
        "uma",
        "il",
        "lo",
        "gli",
        "i",
        "de",
        "het",
        "een",
    ]
)
