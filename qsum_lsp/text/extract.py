"""The sentence of a text that says best what it is about."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from qsum_lsp.text.sentences import split_sentences
from qsum_lsp.text.words import content_words, word_count

EXTRACT_VERSION = "3"
"""Part of the extractive engine's fingerprint: change it with any change that can change a choice."""

# What comes after the first sentences and characters is not looked at: the lead wins anyhow, and time stays bounded.
_MOST_SENTENCES = 200
_MOST_CHARACTERS = 100_000

CUT = "…"
"""What marks a sentence that was cut to fit."""

_CLOSERS = "\"'”’»›)]}』」）】*_"
_TERMINATORS = (".", "!", "。", "！", "．", "｡", "…", "।", "॥", "۔", "။", "።", "։")
_QUESTION_MARKS = ("?", "？", "؟", ";", "՞")
_LEAD_IN_MARKS = (":", "：", "⁝")
# What is no prose: cells of a table, markup, an address or a list mark alone, and text with fewer letters than other signs.
_NO_PROSE = re.compile(
    r"^\s*\||\s\|\s|</[a-z]|<(?:a|b|br|code|details|div|em|h\d|i|iframe|img|li|p|pre|span|strong|summary|table|td|tr|ul)\b|!\[|\{\{|\{%|^\W*(?:https?://\S+|\(?\w{1,3}[.)])\W*$"
)
_CODE = re.compile(
    r"^(?:\$ |>>> |import \w+$|from \S+ import |(?:sudo|curl|npm|pip|docker|kubectl|git|cd|export|const|let|var|def) \S)"
    r"|[{;]$|^[\w.]+ ?[:+]?= ?\S|\w\(\);?$|\s--?\w[\w-]*(?:[= ]\S+)?$"
)
_CLAUSE_END = re.compile(r"[,;:](?=\s)|\s[–—-](?=\s)|[、，；：،؛—]")

# Openings and phrases that send the reader elsewhere or talk to them, instead of telling what the text tells.
_POINTER = re.compile(
    r"^(?:note|tip|warning|caution|important|info|see|read|check|refer|visit|click|go to|learn more|find out|"
    r"for (?:more|further|additional|an example|example|details|instance)|to learn more|contact|subscribe|"
    r"update|updated|last updated|editor.s note|siehe|weitere|mehr|voir|pour plus|en savoir|véase|ver|para más|"
    r"para mais|vedi|per (?:ulteriori|maggiori)|zie|см|подробнее|詳しくは|詳細は|参见|更多)\b"
    r"|\b(?:click|tap) (?:here|on|the)\b|\b(?:hier klicken|klicken sie|cliquez|haga clic|clique (?:aqui|em)|"
    r"fare clic|klik hier|нажмите)\b|点击|クリックして|انقر",
    re.IGNORECASE,
)
# A sentence that leans on the one before it does not stand alone.
_DEPENDENT = re.compile(
    r"^(?:but|and|or|so|however|also|then|thus|therefore|moreover|instead|otherwise|similarly|likewise|"
    r"additionally|furthermore|finally|next|now|it|they|them|these|those|he|she|that|this (?:is|was|means|will|can)|"
    r"aber|und|oder|jedoch|außerdem|dann|mais|et|ou|cependant|donc|puis|pero|y|sin embargo|además|"
    r"mas|no entanto|além disso|ma|inoltre|tuttavia|maar|en|echter|но|и|однако|также|затем)\b"
    r"|^(?:しかし|また|そして|ただし|但是|然而|此外|因此|لكن|ولكن|लेकिन)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Candidate:
    text: str
    paragraph: int
    index: int  # among all sentences


def best_sentence(paragraphs: Sequence[str], *, max_chars: int, title: str = "", language: str = "en") -> str:
    """The most telling sentence of plain ``paragraphs``, at most ``max_chars`` long; empty for no text.

    Deterministic. A sentence longer than the limit is cut at a clause, else at a word, and marked with "…".

    Each sentence is scored by its place, its cosine to the text's TF-IDF centroid (Radev et al. 2004), the share
    of the title's words in it, and its length; questions, lead-ins to lists, pointers elsewhere and
    sentences that lean on the one before lose. What is no prose is taken only where there is nothing else.
    """
    found = _candidates(paragraphs, language)
    candidates = [candidate for candidate in found if is_prose(candidate.text)] or found
    if not candidates or max_chars < 1:
        return ""
    bags = [Counter(content_words(candidate.text, language)) for candidate in candidates]
    centrality = _centrality(bags)
    title_words = set(content_words(title, language))
    best = max(
        range(len(candidates)),
        key=lambda index: (
            _score(candidates[index], bags[index], centrality[index], title_words, max_chars),
            -index,
        ),
    )
    return shorten(candidates[best].text, max_chars=max_chars)


def best_whole_sentence(
    paragraphs: Sequence[str], *, max_chars: int, title: str = "", language: str = "en"
) -> str:
    """As ``best_sentence``, but of the sentences that fit the limit, so that none is cut; empty where none fits."""
    fitting = [
        " ".join(one for one in split_sentences(" ".join(text.split()), language) if len(one) <= max_chars)
        for text in paragraphs
    ]
    found = best_sentence(
        [text for text in fitting if text], max_chars=max_chars, title=title, language=language
    )
    return "" if found.endswith(CUT) else found


def is_prose(sentence: str) -> bool:
    """Whether ``sentence`` is no row of a table, no code, no markup and no list mark alone."""
    signs = sum(not character.isspace() for character in sentence)
    letters = sum(character.isalpha() or unicodedata.category(character)[0] == "M" for character in sentence)
    if letters * 2 < signs or _NO_PROSE.search(sentence):
        return False
    return sentence.rstrip(_CLOSERS).endswith(_TERMINATORS) or not _CODE.search(sentence)


def shorten(sentence: str, *, max_chars: int) -> str:
    """``sentence`` within ``max_chars``: cut at a clause past the middle, else at a word, and marked with "…"."""
    if len(sentence) <= max_chars:
        return sentence
    room = max_chars - 1
    clauses = [match.start() for match in _CLAUSE_END.finditer(sentence[: room + 1])]
    if clauses and clauses[-1] * 2 >= max_chars:
        cut = clauses[-1]
    else:
        cut = sentence.rfind(" ", 0, room + 1)
        if cut * 2 < max_chars:
            cut = room
    return sentence[:cut].rstrip(" ,;:–—-、，；：،؛") + CUT if room else CUT


def _candidates(paragraphs: Sequence[str], language: str) -> list[_Candidate]:
    found: list[_Candidate] = []
    room = _MOST_CHARACTERS
    for number, paragraph in enumerate(paragraphs):
        text = " ".join(paragraph[:room].split())
        room -= len(text)
        for sentence in split_sentences(text, language):
            found.append(_Candidate(sentence, number, len(found)))
            if len(found) == _MOST_SENTENCES:
                return found
    return found


def _centrality(bags: Sequence[Counter[str]]) -> list[float]:
    """Cosine of each sentence to the sum of all, words weighted by inverse sentence frequency."""
    frequency = Counter(word for bag in bags for word in bag)
    weight = {word: math.log(1 + len(bags) / count) for word, count in frequency.items()}
    centroid: dict[str, float] = {}
    for bag in bags:
        for word, count in bag.items():
            centroid[word] = centroid.get(word, 0.0) + count * weight[word]
    length = math.sqrt(math.fsum(value * value for value in centroid.values()))
    result = []
    for bag in bags:
        own = math.sqrt(math.fsum((count * weight[word]) ** 2 for word, count in bag.items()))
        dot = math.fsum(count * weight[word] * centroid[word] for word, count in bag.items())
        result.append(dot / (own * length) if own else 0.0)
    return result


def _score(
    candidate: _Candidate, bag: Counter[str], centrality: float, title_words: set[str], max_chars: int
) -> float:
    text = candidate.text
    count = word_count(text)
    score = 1.0 / (1.0 + 0.12 * (candidate.index + candidate.paragraph)) + 0.4 * centrality
    if title_words:
        score += 0.9 * len(title_words & bag.keys()) / len(title_words)
    if count < 8:
        score -= 0.12 * (8 - count)
    if len(text) > max_chars:
        score -= 0.7
    bare = text.rstrip(_CLOSERS)
    if bare.endswith(_QUESTION_MARKS):
        score -= 0.8
    elif bare.endswith(_LEAD_IN_MARKS):
        score -= 0.4
    elif not bare.endswith(_TERMINATORS):
        score -= 0.3
    if _POINTER.search(text):
        score -= 0.6
    if _DEPENDENT.search(text):
        score -= 0.3
    return score
