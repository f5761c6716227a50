"""How a site writes its page summaries, told from pages that have one."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from qsum_lsp.front_matter.edit import DEFAULT_LINE_STYLE, LineStyle, Position
from qsum_lsp.front_matter.entries import Quoting
from qsum_lsp.front_matter.marker import JSON_KEY
from qsum_lsp.front_matter.page import Page
from qsum_lsp.front_matter.site import KNOWN_KEYS
from qsum_lsp.text.ends import FULL_STOPS, is_ended

if TYPE_CHECKING:
    from qsum_lsp.summaries.values import SummaryOptions

FinalStop = Literal["always", "never", "as_written"]

DEFAULT_MAX_CHARS = 160
_LENGTH_BOUNDS = (80, 400)
_ENOUGH_FOR_LENGTH = 5
_MOST = 0.8
_ABBREVIATIONS = ("etc.", "e.g.", "i.e.", "Inc.", "Ltd.", "vs.", "approx.", "U.S.", "a.m.", "p.m.", "...")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One page's summary under one key, as its author wrote it, or as qsum did (``is_owned``)."""

    key: str
    text: str
    kind: Literal["yaml", "toml", "json"]
    quoting: Quoting | None
    position: frozenset[Position]
    is_owned: bool


def samples_of(page: Page, extra_keys: Sequence[str] = ()) -> tuple[Sample, ...]:
    """The summaries of ``page`` under the keys that sites use, and ``extra_keys``."""
    if page.front_matter is None:
        return ()
    names = {name.lower(): name for name in (*KNOWN_KEYS, *extra_keys)}
    entries = [entry for entry in page.entries.entries if entry.key != JSON_KEY]
    titles = [index for index, entry in enumerate(entries) if entry.key == "title"]
    found = []
    for index, entry in enumerate(entries):
        if entry.key.lower() not in names or entry.is_empty or entry.text is None:
            continue
        position: set[Position] = set()
        if titles and index == titles[0] + 1:
            position.add("after_title")
        if index == len(entries) - 1:
            position.add("last")
        found.append(
            Sample(
                key=names[entry.key.lower()],
                text=entry.text,
                kind=page.front_matter.kind,
                quoting=entry.quoting,
                position=frozenset(position),
                is_owned=page.is_owned(entry),
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageStyle:
    """How a new summary is written: its line, its length in characters, its end, and in words for the model.

    ``site_names`` are words of the site's own name, which it may use.
    """

    line: LineStyle = DEFAULT_LINE_STYLE
    max_chars: int = DEFAULT_MAX_CHARS
    final_stop: FinalStop = "as_written"
    description: str = ""
    site_names: tuple[str, ...] = ()

    def options(self, options: "SummaryOptions") -> "SummaryOptions":
        """``options`` for a page that is written so."""
        return replace(
            options, page_max_chars=self.max_chars, page_style=self.description, site_names=self.site_names
        )

    def finish(self, summary: str) -> str:
        """``summary`` with the final full stop that the site wants; several sentences keep theirs."""
        if (
            self.final_stop == "always"
            and summary
            and not (is_ended(summary) or summary.endswith((":", ";")))
        ):
            return summary + "." if len(summary) < self.max_chars else summary
        if (
            self.final_stop == "never"
            and summary.endswith(tuple(FULL_STOPS))
            and not summary.endswith(_ABBREVIATIONS)
            and ". " not in summary
            and not any(stop in summary[:-1] for stop in FULL_STOPS.replace(".", ""))
        ):
            return summary[:-1]
        return summary


def style_of(
    samples: Sequence[Sample], *, kind: Literal["yaml", "toml", "json"], max_chars: int | None
) -> PageStyle:
    """The style of ``samples`` for a page whose front matter is ``kind``; ``max_chars`` is the user's own limit."""
    if not samples:
        return PageStyle(max_chars=max_chars or DEFAULT_MAX_CHARS)
    quotings = Counter(sample.quoting for sample in samples if sample.kind == kind and sample.quoting)
    positions = Counter(position for sample in samples for position in sample.position)
    lengths = sorted(len(sample.text) for sample in samples)
    if max_chars is None and len(samples) >= _ENOUGH_FOR_LENGTH:
        low, high = _LENGTH_BOUNDS
        max_chars = min(max(lengths[int(0.9 * (len(lengths) - 1))], low), high)
    with_stop = sum(is_ended(sample.text.rstrip()) for sample in samples) / len(samples)
    final_stop: FinalStop = (
        "always" if with_stop >= _MOST else "never" if with_stop <= 1 - _MOST else "as_written"
    )
    return PageStyle(
        line=LineStyle(
            position="last" if positions["last"] > positions["after_title"] else "after_title",
            quoting=quotings.most_common(1)[0][0] if quotings else "double",
        ),
        max_chars=max_chars or DEFAULT_MAX_CHARS,
        final_stop=final_stop,
        description=_description(samples, lengths[len(lengths) // 2], final_stop),
    )


def _description(samples: Sequence[Sample], middle: int, final_stop: FinalStop) -> str:
    from qsum_lsp.text.sentences import split_sentences  # not needed to check

    single = sum(len(split_sentences(sample.text)) <= 1 for sample in samples) / len(samples)
    sentences = "one sentence" if single >= _MOST else "one to three sentences"
    end = {"never": ", without a final full stop", "always": ", with a final full stop", "as_written": ""}[
        final_stop
    ]
    return f"{sentences} of about {max(round(middle, -1), 20)} characters{end}"
