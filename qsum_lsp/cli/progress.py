"""Progress on standard error, only where a terminal is watching."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from qsum_lsp.cli.terminal import interactive, printable
from qsum_lsp.summaries import OnProgress, ProgressEvent, SectionDone, SectionStarted

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_TITLE_WIDTH = 48


class Progress:
    """A bar that counts finished sections and names the one at work."""

    def __init__(self) -> None:
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._of_page: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        if interactive():
            self._bar = _create_bar()
            self._task = self._bar.add_task("", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def of(self, page: str) -> OnProgress:
        """The listener for one page's summaries."""

        def listen(event: ProgressEvent) -> None:
            if self._bar is None or self._task is None:
                return
            if isinstance(event, SectionStarted):
                name = printable(f"{page}: {event.title}" if event.title else page)
                self._bar.start()  # not before the engine is asked: what the cache knows needs no bar
                self._bar.update(self._task, description=name[:_TITLE_WIDTH])
            elif isinstance(event, SectionDone):
                self._of_page[page] = (event.done, event.total)
                done, total = (sum(column) for column in zip(*self._of_page.values(), strict=True))
                self._bar.update(self._task, completed=done, total=total)

        return listen

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While results are printed, the bar is off the screen."""
        if self._bar is None or not self._bar.live.is_started:
            yield
            return
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()


def _create_bar() -> "RichProgress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
