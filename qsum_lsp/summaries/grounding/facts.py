"""Numbers, names and identifiers: each stands in the source, and near the words that the claim ties it to."""

import re
from collections.abc import Iterator, Sequence

from qsum_lsp.summaries.grounding.reading import GROUPED, Reading, spoken_words
from qsum_lsp.text.words import without_elision

_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])(?<!\w-)\d[\d,.]*(?<![,.])[A-Za-z]*(?![A-Za-z0-9_])")
_IDENTIFIER = re.compile(r"(?<!\w)(?:\w+(?:[._/:-]\w+)*[._/]\w+|--?[a-z][\w-]+|[a-z]+[A-Z]\w*)(?!\w)")
_NAME = re.compile(r"(?<![\w./-])[A-Z]\w*(?:[’'&-]\w+)*(?: [A-Z]\w*(?:[’'&-]\w+)*)*")
_POSSESSIVE = re.compile(r"['’]s$")
# German writes every noun with a capital; one that is made by these endings names no product or person.
_GERMAN_NOUN = re.compile(r"[a-zäöüß](?:ung|heit|keit|schaft|tion|tät|nis|ment|tum)(?:e?n|e?s|e|se)?$")
_URL = re.compile(r"\b(?:https?://|www\.)\S+")
_COUNT = re.compile(r"(?<![\w.])(\d+|[a-z]+)[ -]([^\W\d_]+)")
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
        ]
    )
}
_BOUND_WITHIN = 14  # words between a fact and a word that the claim puts next to it
_NEIGHBOURS = 3
_FEWEST_FOR_PASSAGE = 4
_VERBATIM = 0.95
_ALIKE = 0.8
_SLACK = 4
_BESIDE = 3


def missing_facts(claim: str, reading: Reading) -> Iterator[str]:
    """What ``claim`` states that the source lacks, or has in another connection."""
    spans: list[tuple[int, int]] = []

    def fresh(match: re.Match[str]) -> bool:
        taken = any(start <= match.start() < end for start, end in spans)
        spans.append(match.span())
        return not taken

    for kind, pattern in (("address", _URL), ("identifier", _IDENTIFIER), ("number", _NUMBER)):
        for match in pattern.finditer(claim):
            text = match.group().rstrip(".,:;")
            if not fresh(match):
                continue
            if not _stands(text, kind, reading):
                yield f"the {kind} {text} is not in the text"
            elif not _bound(match.start(), match.end(), claim, reading):
                yield f"the {kind} {text} stands elsewhere in the text"
    yield from _names(claim, reading, spans)
    yield from _counts(claim, reading)


def _names(claim: str, reading: Reading, spans: list[tuple[int, int]]) -> Iterator[str]:
    for match in _NAME.finditer(claim):
        if any(start <= match.start() < end for start, end in spans):
            continue
        start = match.start()
        opens = start == 0 or claim[:start].rstrip()[-1:] in tuple('.:!?"“(')
        written = match.group().split()
        if opens and (
            written[0].casefold() in reading.stop or (len(written) == 1 and written[0][1:].islower())
        ):
            start += len(written[0]) + 1  # a capital that only opens the sentence
            del written[0]
        missing = [
            name
            for index, word in enumerate(written)
            if not _known(name := _name_in(word), reading)
            and not (opens and start == match.start() and index == 0 and name[1:].islower())
        ]
        if missing:
            yield from (f"the name {name} is not in the text" for name in missing)
        elif written and not _is_subject(written, reading) and not _bound(start, match.end(), claim, reading):
            yield f"the name {' '.join(written)} stands elsewhere in the text"


def _name_in(word: str) -> str:
    return _POSSESSIVE.sub("", without_elision(word))


def _is_subject(written: Sequence[str], reading: Reading) -> bool:
    """Whether the name is the site's or what the text is about, which goes with anything in it."""
    names = [_name_in(word).casefold() for word in written]
    return " ".join(names) == reading.subject or reading.known_names.issuperset(names)


def _known(name: str, reading: Reading) -> bool:
    folded = name.casefold()
    return (
        folded in reading.stop
        or folded in reading.known_names
        or bool(reading.places_of(folded))
        or all(reading.places_of(part) for part in re.split(r"[-&]", folded) if part)
        or _is_acronym_of(name, reading)
        or (reading.language == "de" and _GERMAN_NOUN.search(name) is not None)
    )


def _counts(claim: str, reading: Reading) -> Iterator[str]:
    """A number before a word ("five apps") where the text has only other numbers before it."""
    for match in _COUNT.finditer(GROUPED.sub("", claim).casefold()):
        number, thing = match.groups()
        value = _NUMBER_WORDS.get(number, number)
        if not value.isdigit() or thing in reading.stop or (value != number and reading.places_of(number)):
            continue
        counted = {
            _NUMBER_WORDS.get(before, before)
            for place in reading.places_of(thing)
            for before in reading.words[max(0, place - 1) : place]
            if before in _NUMBER_WORDS or before.isdigit()
        }
        if counted and value not in counted:
            yield f"the number {number} does not belong to {thing} in the text"


def _stands(text: str, kind: str, reading: Reading) -> bool:
    folded = text.casefold().replace("’", "'")
    if kind == "address":
        return folded in reading.lower
    if kind == "identifier":
        words = folded.split("/")
        if len(words) > 1 and all(word.isalpha() for word in words):
            return True  # "hooks/runners" are two words, and foreign words are counted elsewhere
        return folded in reading.lower or re.sub(r"\W", "", folded) in reading.squeezed
    plain = GROUPED.sub("", folded)
    if re.search(rf"(?<![a-z0-9_.]){re.escape(plain)}(?![a-z0-9_]|[.,]\d)", reading.ungrouped):
        return True
    return any(value == plain and reading.places_of(word) for word, value in _NUMBER_WORDS.items())


def _is_acronym_of(name: str, reading: Reading) -> bool:
    letters = name.casefold().rstrip("s") if name[-1:] == "s" else name.casefold()
    if not name.isupper() and not name[:-1].isupper():
        return False
    pattern = r"\W+(?:(?:of|and|for|the|to|in)\W+)?".join(rf"{re.escape(letter)}\w*" for letter in letters)
    return re.search(rf"\b{pattern}", reading.lower) is not None


def _bound(start: int, end: int, claim: str, reading: Reading) -> bool:
    """Does the fact at ``start`` in the claim stand in the source among the same words as there?

    Where one passage of the source has the rest of the claim word for word, the fact has to be in it. Otherwise
    the fact has to stand right beside a neighbour, or in a passage much like the claim, or near a neighbour.
    """
    parts = reading.content(claim[start:end]) or spoken_words(claim[start:end])
    before = reading.content(claim[:start])
    after = reading.content(claim[end:])
    facts = [places for part in parts if (places := _places(part, reading))]
    if not facts:
        return True
    others = [word for word in dict.fromkeys((*before, *after)) if word not in parts]
    verbatim = _passages(others, reading, _VERBATIM)
    if verbatim:
        return _inside(facts, verbatim)
    beside = [places for word in (*before[-1:], *after[:1]) if (places := reading.places_of(word))]
    if any(reading.near(places, near, _BESIDE) for places in facts for near in beside):
        return True
    alike = _passages(others, reading, _ALIKE)
    if alike:
        return _inside(facts, alike)
    neighbours = [
        places
        for word in (*before[-_NEIGHBOURS:], *after[:_NEIGHBOURS])
        if (places := reading.places_of(word))
    ]
    if len(neighbours) < 2:
        return True
    return any(reading.near(places, near, _BOUND_WITHIN) for places in facts for near in neighbours)


def _places(part: str, reading: Reading) -> list[int]:
    places = reading.places_of(part)
    for word, value in _NUMBER_WORDS.items():
        if value == part:
            places = sorted((*places, *reading.places_of(word)))
    return places


def _passages(others: Sequence[str], reading: Reading, share: float) -> list[tuple[int, int]]:
    if len(others) < _FEWEST_FOR_PASSAGE:
        return []
    return reading.passages(others, width=12 + 2 * len(others), share=share)


def _inside(facts: Sequence[Sequence[int]], passages: Sequence[tuple[int, int]]) -> bool:
    slack = _SLACK + len(facts)
    return all(
        any(first - slack <= place <= last + slack for first, last in passages for place in places)
        for places in facts
    )
