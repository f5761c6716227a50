"""What a summary has to beat: the title, the first sentences, TextRank."""

import math
from collections.abc import Callable, Iterator
from operator import mul

from qsum_lsp.document import split_blocks
from qsum_lsp.evaluation.pages import EvaluationPage
from qsum_lsp.text.language import guess_language
from qsum_lsp.text.sentences import split_sentences
from qsum_lsp.text.words import content_words

_DAMPING = 0.85
_ROUNDS = 30
_MOST_SENTENCES = 200
_FEWEST_WORDS = 3


def baselines() -> dict[str, Callable[[EvaluationPage], str]]:
    """The baselines by name; each makes a summary of running text alone: no headings, code or tables."""
    return {
        "title": lambda page: page.title,
        "first sentence": lambda page: first_sentences(page, 1),
        "first two sentences": lambda page: first_sentences(page, 2),
        "TextRank": textrank,
    }


def first_sentences(page: EvaluationPage, count: int) -> str:
    """The first ``count`` sentences of more than two words."""
    found: list[str] = []
    for sentence in _sentences(page):
        found.append(sentence)
        if len(found) == count:
            break
    return " ".join(found)


def textrank(page: EvaluationPage) -> str:
    """The sentence that most of the others resemble (Mihalcea and Tarau 2004, "TextRank: Bringing Order into Text").

    Two sentences are linked by the number of words they share over the sum of the logarithms of their lengths.
    """
    sentences = [sentence for _, sentence in zip(range(_MOST_SENTENCES), _sentences(page), strict=False)]
    if not sentences:
        return ""
    language = guess_language(page.body)
    bags = [frozenset(content_words(sentence, language)) for sentence in sentences]
    weights = [[0.0 if i == j else _similarity(a, b) for j, b in enumerate(bags)] for i, a in enumerate(bags)]
    totals = [math.fsum(row) for row in weights]
    scores = [1.0] * len(sentences)
    for _ in range(_ROUNDS):
        shares = [score / total if total else 0.0 for score, total in zip(scores, totals, strict=True)]
        scores = [1 - _DAMPING + _DAMPING * math.fsum(map(mul, row, shares)) for row in weights]
    return sentences[max(range(len(sentences)), key=lambda index: (scores[index], -index))]


def _similarity(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return (
        shared / (math.log(len(one)) + math.log(len(other))) if shared and len(one) * len(other) > 1 else 0.0
    )


def _sentences(page: EvaluationPage) -> Iterator[str]:
    language = guess_language(page.body)
    unspaced = language in ("zh", "ja", "th")
    for block in split_blocks(page.body):
        if block.kind in ("paragraph", "list_item", "quote"):
            for sentence in split_sentences(" ".join(block.text.split()), language):
                if unspaced or len(sentence.split()) >= _FEWEST_WORDS:
                    yield sentence
