"""What waits for the engine's thread: requests that are not tokenised yet, and commands."""

import heapq
import itertools
import queue
from collections.abc import Callable

from qsum_lsp.engines.protocol import Priority
from qsum_lsp.engines.torch.submission import Submission

Command = Callable[[], None]


class Inbox:
    """Filled by any thread, emptied by the engine's. Requests are taken by priority, then by age.

    A prompt is tokenised when its turn comes: thousands can be here at once, and the device would wait meanwhile.
    """

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[Submission | Command] = queue.SimpleQueue()
        self._unread: list[tuple[int, int, Submission]] = []
        self._order = itertools.count()

    def put(self, item: Submission | Command) -> None:
        """Add a request, or what the engine's thread is to do between two steps."""
        self._arrived.put(item)

    @property
    def waiting(self) -> int:
        """Requests that were sorted in and not taken yet."""
        return len(self._unread)

    @property
    def priority(self) -> Priority | None:
        """That of the most urgent request, where one is here."""
        return self._unread[0][2].request.priority if self._unread else None

    @property
    def empty(self) -> bool:
        """True where nothing is here."""
        return not self._unread and self._arrived.empty()

    def receive(self, patience: float | None) -> list[Command]:
        """Sort in the requests that have arrived; returns the commands.

        Waits ``patience`` seconds for the first of either, for ever where that is None.
        """
        commands: list[Command] = []
        try:
            item = self._arrived.get(block=patience != 0.0, timeout=patience or None)
            while True:
                if isinstance(item, Submission):
                    heapq.heappush(self._unread, (item.request.priority, next(self._order), item))
                else:
                    commands.append(item)
                item = self._arrived.get_nowait()
        except queue.Empty:
            return commands

    def take(self, most: int) -> list[Submission]:
        """Up to ``most`` of the most urgent requests, but for those that were cancelled."""
        taken: list[Submission] = []
        while self._unread and len(taken) < most:
            submission = heapq.heappop(self._unread)[2]
            if not submission.future.cancelled():
                taken.append(submission)
        return taken
