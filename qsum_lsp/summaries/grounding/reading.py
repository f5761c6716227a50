"""A source, read once: its words by place, so that a claim's words can be found near one another."""

import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property

from qsum_lsp.summaries.grounding.discourse import discourse_words
from qsum_lsp.summaries.grounding.stems import SHORTEST_STEM, are_of_one_family, stem
from qsum_lsp.text.words import STOP_WORDS, words

GROUPED = re.compile(r"(?<=\d),(?=\d{3})")
"""The comma in 5,000."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n{2,}|(?<=[。！？])")
_INSIDE_NAME = re.compile(r"(?<=[a-z,] )[A-Z]\w+(?: [A-Z]\w+)*")
_SUBJECT_TIMES = 3


def spoken_words(text: str) -> list[str]:
    """The words of ``text`` in lower case, with straight apostrophes and without the genitive's ending."""
    return [word.removesuffix("'s") for word in words(GROUPED.sub("", text).replace("’", "'"))]


class Reading:
    """The words of ``source`` by stem and place; ``known_names`` need not stand in it."""

    def __init__(self, source: str, language: str, known_names: Collection[str] = ()) -> None:
        self.source = source
        self.known_names = frozenset(name.casefold() for name in known_names)
        self.language = language
        self.lower = source.casefold().replace("’", "'")
        self.stop = STOP_WORDS.get(language, frozenset()) | discourse_words(language)
        self.words: list[str] = []
        self.sentence_at: list[int] = []
        self.sentences = _SENTENCE_END.split(source)
        for number, sentence in enumerate(self.sentences):
            spoken = spoken_words(sentence)
            self.words += spoken
            self.sentence_at += [number] * len(spoken)
        self.stems = [stem(word) for word in self.words]

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Where each stem stands, in words from the beginning."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, word in enumerate(self.stems):
            places[word].append(place)
        return dict(places)

    @cached_property
    def subject(self) -> str:
        """The name in lower case that the source has most often inside sentences, or empty where none stands out."""
        named = Counter(_INSIDE_NAME.findall(self.source)).most_common(1)
        return named[0][0].casefold() if named and named[0][1] >= _SUBJECT_TIMES else ""

    @cached_property
    def ungrouped(self) -> str:
        """The source in lower case with 5,000 as 5000."""
        return GROUPED.sub("", self.lower)

    @cached_property
    def squeezed(self) -> str:
        """The source in lower case without anything but letters, digits and spaces."""
        return re.sub(r"[^\w\s]", "", self.lower)

    @cached_property
    def _by_beginning(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        for known in self.places:
            found[known[:SHORTEST_STEM]].append(known)
        return dict(found)

    def places_of(self, word: str) -> list[int]:
        """Where ``word`` or a word of its family stands, in order."""
        own = stem(word)
        places = list(self.places.get(own, ()))
        if len(own) >= SHORTEST_STEM:
            for other in self._by_beginning.get(own[:SHORTEST_STEM], ()):
                if other != own and are_of_one_family(own, other):
                    places += self.places[other]
            places.sort()
        return places

    def content(self, claim: str) -> list[str]:
        """The words of ``claim`` that the source has to bear out, in order."""
        return [
            word
            for word in spoken_words(claim)
            if word not in self.stop and not word.isdigit() and len(word) > 1
        ]

    def passages(self, content: Sequence[str], *, width: int, share: float) -> list[tuple[int, int]]:
        """Where the source says nearly the same, as first and last places.

        These are the runs of at most ``width`` words that hold the most of the words ``content``, and at least
        ``share`` of them.
        """
        wanted = dict.fromkeys(content)
        marks = sorted((place, word) for word in wanted for place in self.places_of(word))
        most = math.ceil(share * len(wanted))
        found: list[tuple[int, int]] = []
        inside: Counter[str] = Counter()
        first = 0
        for place, word in marks:
            inside[word] += 1
            while marks[first][0] < place - width:
                gone = marks[first][1]
                inside[gone] -= 1
                if not inside[gone]:
                    del inside[gone]
                first += 1
            if len(inside) > most:
                most = len(inside)
                found.clear()
            if len(inside) == most:
                found.append((marks[first][0], place))
        return found

    def near(self, places: Sequence[int], others: Sequence[int], reach: int) -> bool:
        """Does one of ``places`` lie within ``reach`` words of one of ``others`` (both in order)?"""
        for place in places:
            index = bisect_left(others, place - reach)
            if index < len(others) and others[index] <= place + reach:
                return True
        return False

    def around(self, places: Sequence[int], reach: int) -> Iterator[list[str]]:
        """The words within ``reach`` of each place."""
        for place in places:
            yield self.words[max(0, place - reach) : place + reach + 1]
