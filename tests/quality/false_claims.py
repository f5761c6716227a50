"""True summaries, and false ones made from them by one small change each, for measuring the grounding check.

True ones are the descriptions that the pages' authors wrote and sentences of the pages. The changes know nothing
of the check; the same pages give the same set. Pages are split by a hash of their id: what the check is tuned
on is never what it is measured on.
"""

import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qsum_lsp.document import split_blocks
from qsum_lsp.summaries.grounding import check_grounding
from qsum_lsp.text.sentences import split_sentences

PAGES = Path(__file__).parent.parent / "data" / "docs-dev.jsonl"

_SENTENCES_PER_PAGE = 3

_SWAPS = (
    "faster/slower more/less higher/lower larger/smaller better/worse before/after always/never all/none "
    "increase/decrease increases/decreases enable/disable enables/disables enabled/disabled add/remove "
    "adds/removes first/last public/private required/optional must/may before/after above/below minimum/maximum "
    "allow/prevent allows/prevents include/exclude includes/excludes internal/external new/old easy/difficult "
    "improve/worsen improves/worsens safe/unsafe start/stop with/without static/dynamic self-signed/trusted "
    "encrypted/plaintext long/short high/low strong/weak read/write client/server success/failure open/closed"
)
_OPPOSITE = {
    a: b
    for pair in _SWAPS.split()
    for one, other in [pair.split("/")]
    for a, b in ((one, other), (other, one))
}
_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)*(?![\w])")
_NAME = re.compile(r"(?<=[a-z,;] )(?:[A-Z][\w’'-]*[\w])(?: [A-Z][\w’'-]*\w)*")
_CODE = re.compile(r"(?<!\w)(?:\w+[._/]\w[\w./]*|--?[a-z][\w-]+|\w+_\w+|[a-z]+[A-Z]\w*)(?!\w)")
_VERB = re.compile(r"\b(is|are|was|were|can|will|should|must|may|does|do|has|have)\b(?! not)")
_NEGATION = re.compile(r"\b(is|are|was|were|can|will|should|must|may|does|do|has|have) not\b|\bcannot\b")
_LEARN = re.compile(
    r"^(Learn|Use|Monitor|Discover|Enable|Encrypt|Bundle|Build|Create|List|Process\w*|Returns?|Declares)\b"
)
_THAN = re.compile(
    r"(?P<left>[A-Z]?[\w’' -]{3,40}?)(?P<verb> (?:is|are|was|were) (?:\w+er|more \w+|less \w+) than )"
    r"(?P<right>[\w’'-]+(?: [\w’'-]+){0,2})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A summary with the text it is held against. ``kind`` is where it comes from or what was changed."""

    page: str
    kind: str
    text: str
    source: str
    true: bool


def half_of(page_id: str) -> Literal["development", "test"]:
    """Which half the page belongs to."""
    return "test" if hashlib.sha256(page_id.encode()).digest()[0] % 2 else "development"


def build_claims(half: Literal["development", "test"], path: Path = PAGES) -> list[Claim]:
    """True and false claims from the pages of one half."""
    pages = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    sources = {page["id"]: f"{page['title']}\n\n{plain_text(page['body'])}" for page in pages}
    names = sorted({name for text in sources.values() for name in _NAME.findall(text)})
    claims: list[Claim] = []
    for page in pages:
        if half_of(page["id"]) != half:
            continue
        source = sources[page["id"]]
        draw = random.Random(page["id"])  # noqa: S311 — repeatable, not secret
        described = [("description", page["description"])]
        stated = [("sentence", sentence) for sentence in _sentences(page["body"], draw)]
        foreign = _sentences(pages[(pages.index(page) + 37) % len(pages)]["body"], draw)
        for kind, text in (*described, *stated):
            claims.append(Claim(page=page["id"], kind=kind, text=text, source=source, true=True))
            for change, false in _changes(text, source, names, draw):
                claims.append(
                    Claim(page=page["id"], kind=f"{kind}: {change}", text=false, source=source, true=False)
                )
        claims += [
            Claim(page=page["id"], kind="sentence of another page", text=text, source=source, true=False)
            for text in foreign[:1]
        ]
    return claims


def plain_text(body: str) -> str:
    """What a reader sees of a page's body."""
    return "\n\n".join(block.text for block in split_blocks(body))


def _sentences(body: str, draw: random.Random) -> list[str]:
    found = [
        sentence
        for block in split_blocks(body)
        if block.kind in ("paragraph", "list_item")
        for sentence in split_sentences(block.text)
        if 8 <= len(sentence.split()) <= 35 and sentence[0].isupper() and sentence.endswith(".")
    ]
    return draw.sample(found, min(_SENTENCES_PER_PAGE, len(found)))


def _changes(text: str, source: str, names: Sequence[str], draw: random.Random) -> Iterator[tuple[str, str]]:
    changes: dict[str, Callable[[], str | None]] = {
        "another number": lambda: _replace(text, _NUMBER, draw, lambda found: _other_number(found, draw)),
        "a number of the page": lambda: _replace(
            text, _NUMBER, draw, lambda found: _pick(_NUMBER.findall(source), found, draw)
        ),
        "a foreign name": lambda: _replace(
            text,
            _NAME,
            draw,
            lambda found: _pick([name for name in names if name not in source], found, draw),
        ),
        "a name of the page": lambda: _replace(
            text, _NAME, draw, lambda found: _pick(_NAME.findall(source), found, draw)
        ),
        "another identifier": lambda: _replace(
            text, _CODE, draw, lambda found: _pick(_CODE.findall(source), found, draw)
        ),
        "negated": lambda: _negate(text),
        "negation lost": lambda: _affirm(text),
        "opposite": lambda: _oppose(text, draw),
        "only added": lambda: _replace(text, _VERB, draw, lambda found: f"{found} only"),
        "compared the other way": lambda: _turn(text),
    }
    for change, make in changes.items():
        made = make()
        if made is not None and made.casefold() != text.casefold():
            yield change, made


def _replace(
    text: str, pattern: re.Pattern[str], draw: random.Random, by: Callable[[str], str | None]
) -> str | None:
    found = list(pattern.finditer(text))
    if not found:
        return None
    match = draw.choice(found)
    new = by(match.group())
    return None if new is None else text[: match.start()] + new + text[match.end() :]


def _pick(candidates: Sequence[str], old: str, draw: random.Random) -> str | None:
    taken = old.casefold()
    others = sorted(
        {new for new in candidates if new.casefold() not in taken and taken not in new.casefold()}
    )
    return draw.choice(others) if others else None


def _other_number(old: str, draw: random.Random) -> str:
    digits = [index for index, character in enumerate(old) if character.isdigit()]
    at = draw.choice(digits)
    new = str((int(old[at]) + draw.randint(1, 8)) % 9 + 1)
    return old[:at] + (new if new != old[at] else str((int(new) + 1) % 10)) + old[at + 1 :]


def _negate(text: str) -> str | None:
    match = _VERB.search(text)
    if match:
        return f"{text[: match.end()]} not{text[match.end() :]}"
    match = _LEARN.match(text)
    if match is None or match.group() == "Learn":
        return None
    return (
        f"Do not {match.group().lower()}{text[match.end() :]}"
        if not match.group().endswith("s")
        else (f"Never {match.group().lower()}{text[match.end() :]}")
    )


def _affirm(text: str) -> str | None:
    match = _NEGATION.search(text)
    if match is None:
        return None
    return text[: match.start()] + (match.group(1) or "can") + text[match.end() :]


def _oppose(text: str, draw: random.Random) -> str | None:
    found = [match for match in re.finditer(r"[\w-]+", text) if match.group().lower() in _OPPOSITE]
    if not found:
        return None
    match = draw.choice(found)
    new = _OPPOSITE[match.group().lower()]
    if match.group()[0].isupper():
        new = new.capitalize()
    return text[: match.start()] + new + text[match.end() :]


def _turn(text: str) -> str | None:
    match = _THAN.search(text)
    if match is None:
        return None
    left = match["left"].strip()
    return f"{text[: match.start()]}{match['right']}{match['verb']}{left[:1].lower()}{left[1:]}{text[match.end() :]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What the check does to a set.

    ``precision`` is that of a refusal, ``recall`` the share of the false found; ``balanced_precision`` is what
    precision would be with as many true claims as false ones. ``by_kind`` counts claims and refusals.
    """

    recall: float
    precision: float
    balanced_precision: float
    refused_true: float
    by_kind: dict[str, tuple[int, int]]


def rates(claims: Sequence[Claim]) -> Rates:
    """How many of each kind there are and how many of them the check refuses."""
    by_kind: dict[str, tuple[int, int]] = {}
    refused = {True: 0, False: 0}
    count = {True: 0, False: 0}
    for claim in claims:
        hit = not check_grounding(claim.text, claim.source).grounded
        kind = claim.kind.rpartition(": ")[2]
        total, hits = by_kind.get(kind, (0, 0))
        by_kind[kind] = (total + 1, hits + hit)
        count[claim.true] += 1
        refused[claim.true] += hit
    recall = refused[False] / count[False]
    refused_true = refused[True] / count[True]
    return Rates(
        recall=recall,
        precision=refused[False] / (refused[False] + refused[True]),
        balanced_precision=recall / (recall + refused_true),
        refused_true=refused_true,
        by_kind=by_kind,
    )
