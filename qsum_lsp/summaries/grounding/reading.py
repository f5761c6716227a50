"""A source, read once: its words by place, so that a claim's words can be found near one another."""

import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property, lru_cache

from qsum_lsp.text.words import STOP_WORDS, words

GROUPED = re.compile(r"(?<=\d),(?=\d{3})")
"""The comma in 5,000."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n{2,}|(?<=[。！？])")
_SHORTEST_STEM = 4
_ENGLISH_ENDINGS = [
    "ations",
    "ation",
    "ments",
    "ment",
    "ingly",
    "ities",
    "ity",
    "able",
    "ions",
    "ally",
    "ings",
    "ing",
    "ion",
    "ers",
    "ors",
    "ies",
    "ied",
    "al",
    "ed",
    "er",
    "es",
    "or",
    "ly",
    "s",
    "e",
    "y",
]
_DISCOURSE = frozenset(
    # what a summary says about itself or its reader, which no page needs to say too
    [
        "learn",
        "learns",
        "overview",
        "introduction",
        "guide",
        "guidance",
        "guides",
        "tutorial",
        "information",
        "info",
        "describe",
        "describes",
        "description",
        "explain",
        "explains",
        "explanation",
        "show",
        "shows",
        "discuss",
        "discusses",
        "discussion",
        "cover",
        "covers",
        "outline",
        "outlines",
        "detail",
        "details",
        "detailed",
        "provide",
        "provides",
        "providing",
        "include",
        "includes",
        "including",
        "included",
        "step",
        "steps",
        "highlight",
        "highlights",
        "summary",
        "summarize",
        "introduce",
        "introduces",
        "tips",
        "page",
        "pages",
        "article",
        "post",
        "document",
        "documentation",
        "docs",
        "doc",
        "section",
        "reader",
        "readers",
        "author",
        "topic",
        "topics",
        "walk",
        "through",
        "explore",
        "explores",
        "discover",
        "various",
        "several",
        "different",
        "many",
        "using",
        "used",
        "use",
        "uses",
        "uses",
        "available",
        "help",
        "helps",
        "helping",
        "get",
        "started",
        "start",
        "how",
        "what",
        "why",
        "also",
        "about",
        "within",
        "via",
        "well",
        "key",
        "based",
        "related",
        "specific",
        "such",
        "example",
        "examples",
        "including",
        "ensure",
        "ensures",
        "ensuring",
        "allow",
        "allows",
        "allowing",
        "enable",
        "enables",
        "enabling",
        "following",
        "between",
        "while",
        "its",
        "their",
        "them",
        "other",
        "others",
        "instructions",
        "instruction",
        "reference",
        "way",
        "ways",
        "need",
        "needs",
        "make",
        "makes",
        "set",
        "managing",
        "manage",
        "process",
        "user",
        "users",
        "new",
        "view",
        "given",
        "offer",
        "offers",
        "feature",
        "features",
        "present",
        "presents",
        "one",
        "two",
        "who",
        "when",
        "where",
        "which",
        "each",
        "any",
        "all",
        "both",
        "can",
        "could",
        "would",
        "will",
        "may",
        "might",
        "must",
        "shall",
        "should",
        "let",
        "lets",
        "us",
        "we",
        "our",
        "you",
        "your",
        "i",
        "they",
        "it",
        "is",
        "are",
        "be",
        "was",
        "were",
        "do",
        "does",
        "did",
        "has",
        "have",
        "had",
        "been",
        "being",
        "not",
        "no",
        "nor",
        "never",
        "only",
        "without",
        "cannot",
        "than",
        "then",
        "more",
        "less",
        "most",
        "least",
    ]
)
# What cleaning leaves of "Diese Seite beschreibt …" and its like.
_DISCOURSE_ELSEWHERE = frozenset(
    [
        "beschreibt",
        "erklärt",
        "erläutert",
        "behandelt",
        "zeigt",
        "übersicht",
        "überblick",
        "anleitung",
        "décrit",
        "explique",
        "présente",
        "montre",
        "détaille",
        "aperçu",
        "guide",
        "describe",
        "explica",
        "muestra",
        "presenta",
        "descripción",
        "guía",
        "descreve",
        "apresenta",
        "mostra",
        "descrição",
        "guia",
        "descrive",
        "spiega",
        "illustra",
        "panoramica",
        "guida",
        "beschrijft",
        "toont",
        "overzicht",
        "описывает",
        "объясняет",
        "рассматривает",
        "обзор",
    ]
)


@lru_cache(maxsize=16384)  # the words of one site, which come again and again
def stem(word: str) -> str:
    """``word`` without the commonest English endings, at least four letters long; other words as they are."""
    if not word.isascii() or len(word) <= _SHORTEST_STEM:
        return word
    cut = word
    for _ in range(2):
        ending = next(
            (e for e in _ENGLISH_ENDINGS if cut.endswith(e) and len(cut) - len(e) >= _SHORTEST_STEM), None
        )
        if ending is None:
            break
        cut = cut[: -len(ending)]
    return cut


def spoken_words(text: str) -> list[str]:
    """The words of ``text`` in lower case, with straight apostrophes and without the genitive's ending."""
    return [word.removesuffix("'s") for word in words(GROUPED.sub("", text).replace("’", "'"))]


_INSIDE_NAME = re.compile(r"(?<=[a-z,] )[A-Z]\w+(?: [A-Z]\w+)*")
_SUBJECT_TIMES = 3


class Reading:
    """The words of ``source`` by stem and place; ``known_names`` need not stand in it."""

    def __init__(self, source: str, language: str, known_names: Collection[str] = ()) -> None:
        self.source = source
        self.known_names = frozenset(name.casefold() for name in known_names)
        self.language = language
        self.lower = source.casefold().replace("’", "'")
        self.stop = STOP_WORDS.get(language, frozenset()) | (
            _DISCOURSE if language == "en" else _DISCOURSE | _DISCOURSE_ELSEWHERE
        )
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
            found[known[:_SHORTEST_STEM]].append(known)
        return dict(found)

    def places_of(self, word: str) -> list[int]:
        """Where ``word`` or a word of its family stands, in order."""
        own = stem(word)
        places = list(self.places.get(own, ()))
        if len(own) >= _SHORTEST_STEM:
            for other in self._by_beginning.get(own[:_SHORTEST_STEM], ()):
                if other != own and _same_family(own, other):
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


def _same_family(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    common = 0
    for a, b in zip(shorter, longer, strict=False):
        if a != b:
            break
        common += 1
    return common >= max(_SHORTEST_STEM, 0.7 * len(shorter), 0.6 * len(longer))
