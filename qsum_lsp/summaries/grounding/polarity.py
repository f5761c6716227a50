"""Negations, comparisons and opposites: the source has them about the same words and the same way round."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from qsum_lsp.summaries.grounding.reading import Reading, spoken_words
from qsum_lsp.summaries.grounding.stems import stem

_NEGATIONS = frozenset((
    "not", "no", "never", "cannot", "without", "none", "nor", "neither", "nothing", "nobody", "n't", "don't",
    "doesn't", "isn't", "aren't", "can't", "won't", "shouldn't", "mustn't", "didn't", "wasn't", "weren't",
    "couldn't", "wouldn't", "hasn't", "haven't", "nicht", "kein", "keine", "keinen", "keiner", "nie",
    "niemals", "ohne", "ne", "pas", "jamais", "sans", "aucun", "aucune", "sin", "nunca", "ningún", "ninguna",
    "não", "sem", "nenhum", "nenhuma", "non", "mai", "senza", "nessun", "niet", "geen", "nooit", "zonder",
    "не", "нет", "без", "никогда",
))  # fmt: skip
_LIMITS = frozenset((
    "only", "solely", "exclusively", "nur", "seulement", "uniquement", "solo", "solamente", "sólo", "apenas",
    "soltanto", "alleen", "только",
))  # fmt: skip
_REACH = 7
_SLACK = 3
_FEWEST_FOR_PASSAGE = 3
_SAME_PASSAGE = 0.75
_OPPOSITES = (
    "faster slower|quicker slower|fast slow|more less|more fewer|higher lower|high low|larger smaller|large small|"
    "bigger smaller|greater smaller|greater lesser|better worse|best worst|good bad|before after|earlier later|"
    "always never|all none|all some|every no|increase decrease reduce|raise lower|grow shrink|enable disable|"
    "allow prevent|allow forbid|allow deny|permit forbid|grant revoke|add remove|insert delete|create delete|"
    "attach detach|first last|public private|required optional|mandatory optional|must may|must can|"
    "above below|over under|minimum maximum|min max|include exclude|internal external|new old|"
    "newest oldest|latest earliest|easy difficult|easier harder|simple complex|improve worsen|safe unsafe|"
    "secure insecure|start stop|begin end|with without|static dynamic|encrypt decrypt|encrypted plaintext|"
    "encrypted unencrypted|long short|longer shorter|strong weak|stronger weaker|read write|client server|"
    "success failure|succeed fail|open closed|open close|valid invalid|supported unsupported|stable unstable|"
    "accept reject|import export|upload download|push pull|lock unlock|online offline|local remote|"
    "synchronous asynchronous|sync async|manual automatic|manually automatically|single multiple|"
    "deprecated recommended|true false|full empty|free paid|up down|left right|top bottom|inbound outbound|"
    "input output|upgrade downgrade|ascending descending|many few|most least|wide narrow|positive negative|"
    "advantage disadvantage|benefit drawback|parent child|source target|temporary permanent|inside outside|"
    "cheap expensive|cheaper dearer|heavy light|hard easy|self-signed trusted|explicit implicit|show hide|"
    "connect disconnect|mutable immutable|visible hidden|primary secondary|upper lower|present absent"
)
_PREFIXES = ("un", "in", "dis", "non", "im", "ir", "mis")


def _opposites() -> dict[str, set[str]]:
    table: dict[str, set[str]] = {}
    for group in _OPPOSITES.split("|"):
        one, *others = group.split()
        for other in others:
            table.setdefault(one, set()).add(other)
            table.setdefault(other, set()).add(one)
    return table


_OPPOSITE = _opposites()
_BY_STEM: dict[str, set[str]] = {}
for _word, _set in _OPPOSITE.items():
    _BY_STEM.setdefault(stem(_word), set()).update(_set)


def are_opposite(one: str, other: str) -> bool:
    """Whether two words in lower case are of a pair such as "add" and "removes"."""
    ones, others = ({stem(word), word.removesuffix("s")} for word in (one, other))
    return any(opposite in others for word in ones for opposite in _BY_STEM.get(word, ()))


def turned_claims(claim: str, reading: Reading) -> Iterator[str]:
    """What ``claim`` denies, limits, compares or opposes otherwise than the source."""
    spoken = spoken_words(claim)
    content = [word for word in dict.fromkeys(spoken) if _carries(word, reading) and reading.places_of(word)]
    all_content = [word for word in dict.fromkeys(spoken) if _carries(word, reading)]
    passages: list[tuple[int, int]] = []
    if len(content) >= _FEWEST_FOR_PASSAGE:
        passages = reading.passages(all_content, width=12 + 2 * len(all_content), share=_SAME_PASSAGE)
    yield from _operators(spoken, reading, passages)
    yield from _lost_negations(spoken, reading, passages)
    yield from _opposed(spoken, reading, passages)
    yield from _compared(spoken, reading)


def _within(places: Sequence[int], passages: Sequence[tuple[int, int]]) -> list[int]:
    """Those of ``places`` that lie in a passage; all of them where there is none."""
    if not passages:
        return list(places)
    spans = _joined(passages)
    starts = [start for start, _ in spans]
    return [
        place for place in places if (at := bisect_right(starts, place)) > 0 and place <= spans[at - 1][1]
    ]


def _joined(passages: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The passages with their slack, in order, as spans that do not overlap."""
    spans: list[tuple[int, int]] = []
    for first, last in sorted(passages):
        start, end = first - _SLACK, last + _SLACK
        if spans and start <= spans[-1][1]:
            spans[-1] = spans[-1][0], max(end, spans[-1][1])
        else:
            spans.append((start, end))
    return spans


def is_negation(word: str) -> bool:
    """Whether a word in lower case denies."""
    return word in _NEGATIONS or word.endswith("n't")


def _operators(spoken: Sequence[str], reading: Reading, passages: Sequence[tuple[int, int]]) -> Iterator[str]:
    for index, word in enumerate(spoken):
        negation = is_negation(word)
        if not negation and word not in _LIMITS:
            continue
        after = [w for w in spoken[index + 1 : index + 8] if _carries(w, reading)][:2]
        before = [w for w in spoken[max(0, index - 5) : index] if _carries(w, reading)][-1:]
        scope = [w for w in after or before if reading.places_of(w)]
        if not scope:
            continue
        cues = [
            place for place, w in enumerate(reading.words) if (is_negation(w) if negation else w in _LIMITS)
        ]
        cues = _within(cues, passages)
        if not any(_precedes(cues, _within(reading.places_of(w), passages), reading) for w in scope):
            yield f"“{word} {' '.join(scope)}” is not what the text says"


def _precedes(cues: Sequence[int], places: Sequence[int], reading: Reading) -> bool:
    """Does a cue stand shortly before one of ``places``, or right behind it, in the same sentence?

    Both are in ascending order.
    """
    return any(
        reading.sentence_at[cue] == reading.sentence_at[place]
        for place in places
        for cue in cues[bisect_left(cues, place - _REACH) : bisect_right(cues, place + 2)]
    )


def _carries(word: str, reading: Reading) -> bool:
    return len(word) > 2 and word not in reading.stop and not is_negation(word)


def _lost_negations(
    spoken: Sequence[str], reading: Reading, passages: Sequence[tuple[int, int]]
) -> Iterator[str]:
    """A claim that says with the source's own words what the source denies."""
    if not passages or any(is_negation(word) for word in spoken):
        return
    content = {stem(word) for word in spoken if _carries(word, reading)}
    denied = ""
    for first, last in passages:
        here = ""
        for place in range(max(0, first - 2), last + 1):
            if not is_negation(reading.words[place]):
                continue
            following = [w for w in reading.words[place + 1 : place + 6] if _carries(w, reading)][:1]
            if following and stem(following[0]) in content:
                here = f"{reading.words[place]} {following[0]}"
        if not here:
            return
        denied = here
    if denied:
        yield f"the text says “{denied}”"


def _opposed(spoken: Sequence[str], reading: Reading, passages: Sequence[tuple[int, int]]) -> Iterator[str]:
    for index, word in enumerate(spoken):
        others = set(_BY_STEM.get(stem(word), ()))
        for prefix in _PREFIXES:
            if word.startswith(prefix) and len(word) > len(prefix) + 3:
                others.add(word[len(prefix) :])
            elif len(word) > 3 and reading.places.get(stem(prefix + word)):
                others.add(prefix + word)
        others -= set(spoken)
        if not others:
            continue
        own = reading.places.get(stem(word), [])
        if passages and _within(own, passages):
            continue
        context = [
            w
            for w in (*spoken[max(0, index - 4) : index], *spoken[index + 1 : index + 5])
            if _carries(w, reading) and w not in others
        ]
        beside = [places for w in context if (places := reading.places_of(w))]
        if not passages and _support(own, beside, reading):
            continue
        for other in sorted(others):
            places = reading.places.get(stem(other), [])
            if passages and _within(places, passages):
                yield f"the text says “{other}”, not “{word}”"
                break
            if not passages and _support(places, beside, reading) >= 2:
                yield f"the text says “{other}”, not “{word}”"
                break


def _support(places: Sequence[int], beside: Sequence[Sequence[int]], reading: Reading) -> int:
    return sum(reading.near(places, others, 5) for others in beside)


_COMPARATIVE = re.compile(r"^\w+er$|^(?:more|less|fewer)$")


def _compared(spoken: Sequence[str], reading: Reading) -> Iterator[str]:
    """Comparisons such as "A is faster than B" where the source has B before "than" and A behind it."""
    for index, word in enumerate(spoken):
        degrees = [at for at in range(max(0, index - 3), index) if _COMPARATIVE.match(spoken[at])]
        if word != "than" or not degrees:
            continue
        left = {stem(w) for w in spoken[max(0, index - 9) : index] if _carries(w, reading)}
        right = {stem(w) for w in spoken[index + 1 : index + 6] if _carries(w, reading)}
        degree = {stem(w) for w in spoken[degrees[-1] : index]}
        left -= degree
        left, right = left - right, right - left
        same = turned = False
        for place in reading.places.get("than", ()):
            said_left = set(reading.stems[max(0, place - 12) : place])
            said_right = set(reading.stems[place + 1 : place + 8])
            if not degree & said_left:
                continue
            same |= bool(left & said_left and right & said_right)
            turned |= bool(right & said_left and left & said_right)
        if turned and not same:
            yield "the text has the comparison the other way round"
        elif not same and not turned and left and right:
            yield "the text has no such comparison"
