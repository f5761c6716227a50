"""How long the requests of each method took."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

_KEPT = 500


class Latencies:
    """The last few hundred durations by method."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = {}
        self._counts: dict[str, int] = {}

    @contextmanager
    def measured(self, method: str) -> Iterator[None]:
        """Note how long the block takes."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds.setdefault(method, deque(maxlen=_KEPT)).append(time.perf_counter() - started)
            self._counts[method] = self._counts.get(method, 0) + 1

    def report(self) -> dict[str, dict[str, float]]:
        """Count, median and 99th percentile (milliseconds) by method."""
        found = {}
        for method, seconds in self._seconds.items():
            ordered = sorted(seconds)
            found[method] = {
                "count": self._counts[method],
                "p50Ms": round(ordered[len(ordered) // 2] * 1000, 2),
                "p99Ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000, 2),
            }
        return found
