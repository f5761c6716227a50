"""Sections to summaries: keys, plan, prompt, run, and the checks after decoding. No I/O of its own."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qsum_lsp.summaries.values import (
    PAGE,
    DocumentSummary,
    OnProgress,
    ProgressEvent,
    SectionDone,
    SectionStarted,
    SectionSummary,
    SectionText,
    SummaryOptions,
    Usage,
)

if TYPE_CHECKING:
    from qsum_lsp.summaries.shelf import TextStore
    from qsum_lsp.summaries.summarizer import Summarizer

__all__ = [
    "PAGE",
    "DocumentSummary",
    "OnProgress",
    "ProgressEvent",
    "SectionDone",
    "SectionStarted",
    "SectionSummary",
    "SectionText",
    "Summarizer",
    "SummaryOptions",
    "TextStore",
    "Usage",
]

# Loaded when first asked for: who only names summaries need not wait for what makes them.
_MODULES = {"Summarizer": "qsum_lsp.summaries.summarizer", "TextStore": "qsum_lsp.summaries.shelf"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
