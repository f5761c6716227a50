"""A sentence of the source said again with one thing altered: another name in a name's place, a word's opposite, a negation left out."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from qsum_lsp.summaries.grounding.polarity import are_opposite, is_negation
from qsum_lsp.summaries.grounding.reading import Reading

_TOKEN = re.compile(r"--?[A-Za-z][\w-]*|\w+(?:[._/’'&:-]\w+)*")
_FEWEST = 5  # words of a claim that can be said to repeat a sentence
_SHARED = 0.6  # of the claim's content, for a sentence to be looked at
_REPEATED = 0.7  # of the claim's words, in the same order, for a sentence to be the one it repeats
_LONGEST = 6  # words of what was put in another's place
_MOST_LOOKED_AT = 12
_FAMILY = 4  # letters at the beginning that two forms of a name share
_NAMED = re.compile(r"[A-Z]|[a-z]+[A-Z]|.*[\w)][._/]\w|--?[a-z]|.*\d")


def altered_sentences(claim: str, reading: Reading) -> Iterator[str]:
    """How ``claim`` differs from the sentence of the source whose words it repeats.

    The words are aligned in order (Ratcliff and Obershelp 1988, as ``difflib`` has it). Where several sentences are
    equally near, one that bears the claim out is enough.
    """
    said = _TOKEN.findall(claim)
    if len(said) < _FEWEST:
        return
    folded = [_folded(word) for word in said]
    best = 0
    found: list[str] = []
    for sentence in _alike(claim, reading):
        source = _TOKEN.findall(sentence)
        matcher = SequenceMatcher(None, folded, [_folded(word) for word in source], autojunk=False)
        repeated = sum(block.size for block in matcher.get_matching_blocks())
        if repeated < max(best, _REPEATED * len(said)):
            continue
        problem = _altered(said, source, matcher.get_opcodes())
        if repeated > best:
            found = []
        best = repeated
        found.append(problem)
    if found and all(found):
        yield found[0]


def _alike(claim: str, reading: Reading) -> list[str]:
    """The sentences of the source with most of the claim's content, the likest first."""
    content = list(dict.fromkeys(reading.content(claim)))
    shared = Counter(
        number
        for word in content
        for number in {reading.sentence_at[place] for place in reading.places_of(word)}
    )
    return [
        reading.sentences[number]
        for number, count in shared.most_common(_MOST_LOOKED_AT)
        if count >= _SHARED * len(content)
    ]


def _altered(
    said: Sequence[str], source: Sequence[str], changes: Sequence[tuple[str, int, int, int, int]]
) -> str:
    """What was altered, or empty."""
    for kind, start, end, first, last in changes:
        new, old = said[start:end], source[first:last]
        if kind == "insert" and start > 0 and any(is_negation(_folded(word)) for word in old[:3]):
            if len(old) <= 3 and not any(is_negation(_folded(word)) for word in said):
                return f"the text says “{' '.join((*old, *source[last : last + 1]))}”"
        elif kind == "replace" and max(len(new), len(old)) <= _LONGEST:
            for put, taken in _replaced(new, old, opens=not (start and first)):
                if not _elsewhere(put, source) and not _elsewhere(taken, said):
                    return f"the text says “{' '.join(taken)}”, not “{' '.join(put)}”"
    return ""


def _replaced(
    new: Sequence[str], old: Sequence[str], *, opens: bool
) -> Iterator[tuple[list[str], list[str]]]:
    """Namings and opposites that take another's place; where a sentence ``opens``, a capital names nothing."""
    put, taken = _named(new), _named(old)
    if not opens and put and taken and not _related(put, taken):
        yield put, taken
    for one in new:
        yield from (([one], [other]) for other in old if are_opposite(_folded(one), _folded(other)))


def _named(words: Sequence[str]) -> list[str]:
    return [word for word in words if _NAMED.match(word)]


def _related(new: Sequence[str], old: Sequence[str]) -> bool:
    """Whether two namings share a word, or one is the initials of the other; a number never takes a name's place."""
    one, other = ([_folded(word) for word in words] for words in (new, old))
    for a in one:
        for b in other:
            if min(len(a), len(b)) > 1 and (a in b or b in a or a[:_FAMILY] == b[:_FAMILY]):
                return True
    if one[0].isdigit() != other[0].isdigit():
        return True
    initials = ["".join(word[0] for word in words) for words in (one, other)]
    return initials[0] in other or initials[1] in one


def _elsewhere(named: Sequence[str], words: Sequence[str]) -> bool:
    known = {_folded(word) for word in words}
    return all(_folded(word) in known for word in named)


def _folded(word: str) -> str:
    return word.casefold().replace("’", "'").removesuffix("'s")
