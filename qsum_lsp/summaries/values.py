"""What a summariser is asked for and what it gives back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from qsum_lsp.settings.values import Strategy

Source = Literal["model", "extractive", "verbatim"]

PAGE = ""
"""The id that stands for the whole page, where section ids are ``1``, ``2.1`` and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryOptions:
    """What a summary depends on beside the text and the engine; part of every key.

    ``max_chars`` bounds a section's summary, ``page_max_chars`` the page's. ``page_style`` is a short, plain
    description of how the site writes its page summaries ("one sentence, no final full stop"), or empty.
    ``site_names`` are words of the site's own name, which a page's summary may use though the page does not.
    """

    strategy: Strategy = "headings"
    max_chars: int = 280
    page_max_chars: int = 280
    min_words: int = 25
    page_style: str = ""
    site_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionSummary:
    """One summary. ``section_id`` is ``PAGE`` for the page.

    ``grounded`` is None where nothing had to be checked (verbatim and extractive text stands in the source).
    ``note`` says, for people, why a summary is not the model's; empty otherwise.
    """

    section_id: str
    text: str
    source: Source
    cached: bool
    grounded: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens and seconds spent on the engine for one document; nothing for what came from the store."""

    prompt_tokens: int = 0
    new_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentSummary:
    """Summaries by section id, ``PAGE`` among them; those not asked for or not to be had are missing."""

    summaries: dict[str, SectionSummary] = field(default_factory=dict)
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionStarted:
    """A section is at the engine now."""

    section_id: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionText:
    """The next piece of a section's raw answer, as it streams; it may still be cleaned or replaced."""

    section_id: str
    piece: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionDone:
    """A summary is final; ``done`` of ``total`` are."""

    summary: SectionSummary
    done: int
    total: int


ProgressEvent = SectionStarted | SectionText | SectionDone
OnProgress = Callable[[ProgressEvent], None]
