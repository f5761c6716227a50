"""What is to be said of one page after a check or an update."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from qsum_lsp.errors import FileError
from qsum_lsp.front_matter.page import State

TO_DO: frozenset[State] = frozenset({"stale", "missing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PageReport:
    """``state`` is what was found, None where the page could not be read.

    ``summary`` is what stands under ``key`` now. ``written`` is true where an update changed the page, or would
    have. ``line`` is where the summary stands or, failing that, 1. ``note`` says, for people, what is unusual;
    ``error`` what went wrong.
    """

    path: str
    key: str = ""
    state: State | None = None
    summary: str = ""
    line: int = 1
    written: bool = False
    note: str = ""
    error: FileError | None = None

    @property
    def is_open(self) -> bool:
        """True where something is left to do."""
        return self.state in TO_DO and not self.written


def exit_code(reports: Sequence[PageReport]) -> int:
    """4 where a page could not be read or written, 1 where one is or was stale or missing, else 0."""
    if any(report.error is not None for report in reports):
        return FileError.exit_code
    return 1 if any(report.written or report.is_open for report in reports) else 0


def totals(reports: Sequence[PageReport]) -> str:
    """The summary line: how many pages in which state."""
    counts = Counter(
        "failed" if report.error else "updated" if report.written else report.state or "failed"
        for report in reports
    )
    if not counts:
        return "no pages"
    order = ("updated", "stale", "missing", "edited", "human", "empty", "fresh", "failed")
    parts = [f"{counts[name]} {name}" for name in order if counts[name]]
    return f"{len(reports)} page{'s' if len(reports) != 1 else ''}: {', '.join(parts)}"
