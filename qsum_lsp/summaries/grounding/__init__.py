"""Does a summary stand in its source? Numbers, names, code, negations and comparisons are held against it.

The check reads no model. It finds what a small change to a true sentence gives away: a number, a name or an
identifier that the source lacks or ties to other words, a negation or a comparison that the source has the other way
round, and sentences whose words mostly come from somewhere else.
"""

from collections.abc import Collection
from dataclasses import dataclass

from qsum_lsp.summaries.grounding.altered import altered_sentences
from qsum_lsp.summaries.grounding.facts import missing_facts
from qsum_lsp.summaries.grounding.novelty import foreign_words
from qsum_lsp.summaries.grounding.polarity import turned_claims
from qsum_lsp.summaries.grounding.reading import Reading
from qsum_lsp.text.language import guess_language
from qsum_lsp.text.sentences import split_sentences

__all__ = ["Grounding", "check_grounding"]


@dataclass(frozen=True, slots=True)
class Grounding:
    """``problems`` are the parts of the summary, in words for people, that the source does not bear out."""

    problems: tuple[str, ...] = ()

    @property
    def grounded(self) -> bool:
        """True where nothing was found against the summary."""
        return not self.problems


def check_grounding(summary: str, source: str, *, known_names: Collection[str] = ()) -> Grounding:
    """Hold ``summary`` against the plain text ``source``; ``known_names`` may stand anywhere in it."""
    reading = Reading(source, guess_language(source), known_names)
    problems: dict[str, None] = {}
    for sentence in split_sentences(summary, reading.language):
        for check in (missing_facts, turned_claims, altered_sentences, foreign_words):
            problems |= dict.fromkeys(check(sentence, reading))
    return Grounding(tuple(problems))
