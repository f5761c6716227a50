"""Sections to summaries: keys, plan, prompt, run, and the checks after decoding. No I/O of its own."""

from qsum_lsp.summaries.shelf import TextStore
from qsum_lsp.summaries.summarizer import Summarizer
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
