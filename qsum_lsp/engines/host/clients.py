"""Who has asked lately."""

from time import monotonic

CLIENT_HEADER = "X-Qsum-Client"
"""The header in which a client names itself."""

_RECENT_SECONDS = 300.0


class Clients:
    """Client names with the time of their last request."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}

    def note(self, client: str) -> None:
        """A request of that client came in."""
        self._seen.pop(client, None)
        self._seen[client] = monotonic()  # the dict stays in order of time

    def recent(self) -> int:
        """How many clients asked in the last five minutes."""
        oldest = monotonic() - _RECENT_SECONDS
        while self._seen and next(iter(self._seen.values())) < oldest:
            del self._seen[next(iter(self._seen))]
        return len(self._seen)
