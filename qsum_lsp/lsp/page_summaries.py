"""The front-matter summary of an open page: its key, its state, and whether anybody expects one."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from qsum_lsp.front_matter import FrontMatterError, State
from qsum_lsp.front_matter.check import CheckedPage
from qsum_lsp.front_matter.neighbours import Neighbours
from qsum_lsp.front_matter.report import TO_DO, PageReport
from qsum_lsp.lsp.backend import Backend
from qsum_lsp.lsp.documents import Snapshot
from qsum_lsp.settings import Settings

_log = logging.getLogger(__name__)

_NEIGHBOURS_SECONDS = 60.0  # so long what was read of the pages around is taken to hold
_NOWHERE = Path("/untitled/untitled.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSummary:
    """What is to be said of a page's own summary.

    ``start`` and ``end`` are the offsets of the entry, else of the page's first line. ``is_expected`` is true where
    the page or its neighbours keep such a summary, so that a missing one is worth a hint. ``error`` says why the
    front matter cannot be read.
    """

    checked: CheckedPage
    start: int
    end: int
    is_expected: bool
    error: str = ""

    @property
    def key(self) -> str:
        """The front-matter key."""
        return self.checked.report.key

    @property
    def state(self) -> State | None:
        """None where the front matter cannot be read."""
        return self.checked.report.state

    @property
    def is_due(self) -> bool:
        """Whether there is a summary to be written."""
        return self.state in TO_DO


class PageSummaries:
    """Looks at pages; everything but ``known`` happens on the engine thread, since neighbours are read from disk."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._neighbours = Neighbours()
        self._read_at = time.monotonic()
        self._last: dict[str, tuple[str, PageSummary]] = {}

    @property
    def neighbours(self) -> Neighbours:
        """The pages around, as they were lately."""
        return self._neighbours

    def read_again(self) -> None:
        """Files have changed."""
        self._neighbours = Neighbours()
        self._read_at = time.monotonic()

    def forget(self, uri: str) -> None:
        """A document is closed."""
        self._last.pop(uri, None)

    def known(self, snapshot: Snapshot) -> PageSummary | None:
        """What was found for this very text; None where it was not looked at yet."""
        text, found = self._last.get(snapshot.uri, (None, None))
        return found if text == snapshot.text else None

    async def look(self, snapshot: Snapshot, settings: Settings) -> PageSummary:
        """What is to be said of the page's summary."""
        known = self.known(snapshot)
        if known is not None:
            return known
        if time.monotonic() - self._read_at > _NEIGHBOURS_SECONDS:
            self.read_again()
        neighbours = self._neighbours
        found = await self._backend.off_thread(lambda: _look(snapshot, settings, neighbours))
        self._last[snapshot.uri] = (snapshot.text, found)
        return found


def _look(snapshot: Snapshot, settings: Settings, neighbours: Neighbours) -> PageSummary:
    path = snapshot.path or _NOWHERE
    first_line = snapshot.lines.end(1)
    try:
        page = snapshot.page
        key = neighbours.key(path, page, settings)
        entry = page.entry(key)
        report = PageReport(
            path=snapshot.name,
            key=key,
            state=page.state(key),
            summary=(entry.text or "") if entry else "",
            line=page.line(entry.start) if entry else 1,
        )
        is_expected = entry is not None or (
            snapshot.path is not None and neighbours.keep_summaries(path, key)
        )
    except FrontMatterError as error:
        start, end = snapshot.lines.start(error.line), snapshot.lines.end(error.line)
        checked = CheckedPage(path=path, page=None, report=PageReport(path=snapshot.name))
        return PageSummary(checked=checked, start=start, end=end, is_expected=False, error=error.reason)
    start, end = 0, first_line
    if entry is not None and page.front_matter is not None:
        start = page.front_matter.content_start + entry.start
        end = page.front_matter.content_start + entry.end
    checked = CheckedPage(path=path, page=page, report=report)
    return PageSummary(checked=checked, start=start, end=end, is_expected=is_expected)
