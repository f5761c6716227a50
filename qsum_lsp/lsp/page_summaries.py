"""The front-matter summary of an open page: its key, its state, and whether anybody expects one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qsum_lsp.front_matter import FrontMatterError, State
from qsum_lsp.front_matter.check import CheckedPage
from qsum_lsp.front_matter.neighbours import Neighbours
from qsum_lsp.front_matter.report import TO_DO, PageReport
from qsum_lsp.lsp.backend import Backend
from qsum_lsp.lsp.documents import Snapshot
from qsum_lsp.settings import Settings

_NEIGHBOURS_SECONDS = 60.0  # so long what was read of the pages around is taken to hold
_LONGEST_LINE = 1000  # of a hint's range; a table of all lines would cost too much at each key
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
        """Files or settings have changed: what was found by them no longer holds."""
        self._neighbours = Neighbours()
        self._read_at = time.monotonic()
        self._last.clear()

    def forget(self, uri: str) -> None:
        """A document is closed."""
        self._last.pop(uri, None)

    def known(self, snapshot: Snapshot) -> PageSummary | None:
        """What was found for this very text; None where it was not looked at yet."""
        text, found = self._last.get(snapshot.uri, (None, None))
        return found if text == snapshot.text else None

    async def look_soon(self, snapshot: Snapshot, settings: Settings) -> PageSummary:
        """As ``look``, at once where the document was looked at before: what its neighbours do is taken to hold."""
        _, last = self._last.get(snapshot.uri, (None, None))
        if last is None or last.error:
            return await self.look(snapshot, settings)
        known = self.known(snapshot)
        return known or _look(snapshot, last.key, lambda: last.is_expected)

    async def look(self, snapshot: Snapshot, settings: Settings) -> PageSummary:
        """What is to be said of the page's summary."""
        known = self.known(snapshot)
        if known is not None:
            return known
        if time.monotonic() - self._read_at > _NEIGHBOURS_SECONDS:
            self.read_again()
        neighbours = self._neighbours
        found = await self._backend.off_thread(lambda: _look_around(snapshot, settings, neighbours))
        if neighbours is self._neighbours:  # else files have changed meanwhile
            self._last[snapshot.uri] = (snapshot.text, found)
        return found


def _look_around(snapshot: Snapshot, settings: Settings, neighbours: Neighbours) -> PageSummary:
    path = snapshot.path
    try:
        key = neighbours.key(path or _NOWHERE, snapshot.page, settings)
    except FrontMatterError:
        key = ""  # it cannot be read under any key
    return _look(snapshot, key, lambda: path is not None and neighbours.keep_summaries(path, key))


def _look(snapshot: Snapshot, key: str, do_neighbours: Callable[[], bool]) -> PageSummary:
    path = snapshot.path or _NOWHERE
    try:
        page = snapshot.page
        entry = page.entry(key)
        report = PageReport(
            path=snapshot.name,
            key=key,
            state=page.state(key),
            summary=(entry.text or "") if entry else "",
            line=page.line(entry.start) if entry else 1,
        )
    except FrontMatterError as error:
        start, end = snapshot.lines.start(error.line), snapshot.lines.end(error.line)
        checked = CheckedPage(path=path, page=None, report=PageReport(path=snapshot.name))
        return PageSummary(checked=checked, start=start, end=end, is_expected=False, error=error.reason)
    start, end = 0, len(snapshot.text[:_LONGEST_LINE].replace("\r", "\n").partition("\n")[0])
    if entry is not None and page.front_matter is not None:
        start = page.front_matter.content_start + entry.start
        end = page.front_matter.content_start + entry.end
    checked = CheckedPage(path=path, page=page, report=report)
    return PageSummary(
        checked=checked, start=start, end=end, is_expected=entry is not None or do_neighbours()
    )
