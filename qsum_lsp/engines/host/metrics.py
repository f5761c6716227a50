"""Figures of one engine process, for Prometheus and for people."""

from collections import deque
from collections.abc import Callable
from time import monotonic

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from qsum_lsp.engines.protocol import Completion

_RATE_SECONDS = 30.0


class Metrics:
    """Counters in a registry of their own."""

    def __init__(self, *, running: Callable[[], int], waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "qsum_requests", "Requests by how they ended", ["outcome"], registry=self._registry
        )
        self._prompt_tokens = Counter(
            "qsum_prompt_tokens", "Prompt tokens of answered requests", registry=self._registry
        )
        self._new_tokens = Counter(
            "qsum_new_tokens", "Generated tokens of answered requests", registry=self._registry
        )
        self._seconds = Histogram(
            "qsum_generation_seconds",
            "From the hand-over to the engine to the last token",
            registry=self._registry,
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120),
        )
        Gauge("qsum_running", "Requests at the engine", registry=self._registry).set_function(running)
        Gauge("qsum_waiting", "Requests in the queue", registry=self._registry).set_function(waiting)
        self._recent: deque[tuple[float, int]] = deque()
        self._began = monotonic()

    def completed(self, completion: Completion) -> None:
        """A request was answered."""
        self._requests.labels("completed").inc()
        self._prompt_tokens.inc(completion.prompt_tokens)
        self._new_tokens.inc(completion.new_tokens)
        self._seconds.observe(completion.seconds)
        self._recent.append((monotonic(), completion.new_tokens))
        self._forget_old()

    def failed(self, code: str) -> None:
        """A request ended with an error."""
        self._requests.labels(code).inc()

    def given_up(self) -> None:
        """A client went away before the answer."""
        self._requests.labels("given_up").inc()

    def tokens_per_second(self) -> float | None:
        """New tokens a second over the last half minute; None where there were none."""
        self._forget_old()
        if not self._recent:
            return None
        span = min(_RATE_SECONDS, max(monotonic() - self._began, 1.0))
        return sum(tokens for _, tokens in self._recent) / span

    def text(self) -> bytes:
        """The Prometheus text format."""
        return generate_latest(self._registry)

    def _forget_old(self) -> None:
        oldest = monotonic() - _RATE_SECONDS
        while self._recent and self._recent[0][0] < oldest:
            self._recent.popleft()
