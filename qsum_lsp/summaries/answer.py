"""A finished answer, and how the store keeps it."""

import json
from dataclasses import dataclass

from qsum_lsp.summaries.values import SectionSummary, Source

_SOURCES: dict[object, Source] = {"model": "model", "extractive": "extractive", "verbatim": "verbatim"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The summary of a section or a chunk. ``lasting`` is False where a passing failure made it what it is."""

    text: str
    source: Source
    grounded: bool | None = None
    note: str = ""
    cached: bool = False
    lasting: bool = True
    too_long: bool = False

    def summary_of(self, section_id: str) -> SectionSummary:
        """This answer as the summary of a section."""
        return SectionSummary(
            section_id=section_id,
            text=self.text,
            source=self.source,
            cached=self.cached,
            grounded=self.grounded,
            note=self.note,
        )


TOO_LONG = Answer(text="", source="model", too_long=True)
"""The engine cannot take the prompt; it has to be split."""


def encode_answer(answer: Answer) -> str:
    """``answer`` as the store keeps it."""
    if answer.too_long:
        return json.dumps({"too_long": True})
    return json.dumps(
        {"text": answer.text, "source": answer.source, "grounded": answer.grounded, "note": answer.note},
        ensure_ascii=False,
    )


def decode_answer(value: str) -> Answer | None:
    """The answer that the store kept, or None for what is none."""
    try:
        record = json.loads(value)
    except ValueError:
        return None
    match record:
        case {"too_long": True}:
            return TOO_LONG
        case {
            "text": str(text),
            "source": "model" | "extractive" | "verbatim" as source,
            "grounded": (None | bool()) as grounded,
            "note": str(note),
        }:
            return Answer(text=text, source=_SOURCES[source], grounded=grounded, note=note, cached=True)
        case _:
            return None
