"""How summaries are shown. What comes from a model or a document is text here, never markup."""

import re
import unicodedata

from qsum_lsp.document import Section
from qsum_lsp.engines.protocol import EngineIdentity
from qsum_lsp.summaries import SectionSummary

_LENS_CHARS = 90
_ACTIVE = re.compile(
    r"[\\`*\[\]<>&~{}|$]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # inside of a word an underscore is itself
    r"|:(?=//)|(?<=mailto):|(?<=xmpp):|(?<=www)\.|@"  # what renderers make links of by themselves
    r"|^(?:#|-|\+|=|!)",
    re.IGNORECASE,
)
_ORDERED = re.compile(r"^(\d{1,9})([.)])")


def plain(text: str) -> str:
    """``text`` on one line, without characters that act instead of being seen."""
    return " ".join(
        "".join(
            " " if unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs") else character
            for character in text
            if unicodedata.category(character) != "Cf" or character in "\u200c\u200d"
        ).split()
    )


def escaped(text: str) -> str:
    """``text`` as Markdown that shows exactly that text on one line."""
    return _ORDERED.sub(r"\1\\\2", _ACTIVE.sub(lambda match: "\\" + match.group(), plain(text)))


def page_markdown(text: str) -> str:
    """As ``escaped``, for a page: templates and MDX, where a brace acts and a backslash does not help, get entities."""
    return escaped(text).replace("\\{", "&#123;").replace("\\}", "&#125;")


def first_words(text: str) -> str:
    """The beginning of ``text`` for one line over a heading."""
    text = plain(text)
    if len(text) <= _LENS_CHARS:
        return text
    cut = text[:_LENS_CHARS]
    return cut[: cut.rfind(" ")].rstrip(",;:") + " …" if " " in cut else cut + "…"


class HoverText:
    """What a hover says, as Markdown or as plain text."""

    def __init__(self, section: Section, *, words: str, as_markdown: bool) -> None:
        self._as_markdown = as_markdown
        title = self._text(section.title) or "(no title)"
        self._head = f"**{title}**" if as_markdown else title
        self._words = words

    def summary(self, summary: SectionSummary, identity: EngineIdentity | None) -> str:
        """A summary and where it is from."""
        parts = [summary_origin(summary, identity)]
        if summary.source != "verbatim":
            parts.append("cached" if summary.cached else "fresh")
        return self._joined(self._text(summary.text) or "This section is empty.", parts, summary.note)

    def outdated(self, summary: SectionSummary, doing: str) -> str:
        """The last summary of a section that has changed since, and what is done about it."""
        return self._joined(self._text(summary.text), ["outdated", doing])

    def nothing(self, message: str) -> str:
        """No summary, and why."""
        return self._joined(self._text(message), [])

    def _joined(self, body: str, parts: list[str], note: str = "") -> str:
        foot = self._text(" · ".join([*parts, self._words]))
        if self._as_markdown:
            foot = f"*{foot}*"
        lines = [self._head, body, foot]
        if note:
            lines.append(self._text(f"Note: {note}"))
        return "\n\n".join(lines)

    def _text(self, text: str) -> str:
        return escaped(text) if self._as_markdown else plain(text)


def summary_origin(summary: SectionSummary, identity: EngineIdentity | None) -> str:
    """Who wrote a summary."""
    if summary.source == "verbatim":
        return "the section's own words"
    if summary.source == "extractive":
        return "extractive: a sentence of the text"
    model = identity.model if identity else "model"
    return f"{model}, grounded" if summary.grounded else model


def size_of(text: str) -> str:
    """How long a text is, for people."""
    if len(text) > 200_000:
        return f"about {len(text) // 6000 * 1000:,} words"
    count = len(text.split())
    return f"{count:,} word{'s' if count != 1 else ''}"
