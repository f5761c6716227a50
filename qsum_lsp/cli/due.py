"""What a run of ``qsum update`` has to do: the pages that are due, and what its options ask for."""

from dataclasses import dataclass

from qsum_lsp.cli.page_reports import OutputFormat
from qsum_lsp.front_matter.check import CheckedPage
from qsum_lsp.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What the options of one run ask for."""

    output_format: OutputFormat
    diff: bool
    force: bool


@dataclass(frozen=True, slots=True)
class DuePage:
    """A page that is to be given a new summary."""

    checked: CheckedPage
    settings: Settings
