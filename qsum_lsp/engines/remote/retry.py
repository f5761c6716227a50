"""When to try again: exponential back-off with full jitter, and the server's own Retry-After."""

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from qsum_lsp.engines.remote.failures import ConnectionLost, StatusError

ATTEMPTS = 6
_ATTEMPTS_TO_CONNECT = 2
_CONNECT_AGAIN_SECONDS = 0.3
_BASE_SECONDS = 0.5
_LONGEST_SECONDS = 30.0
_LONGEST_RETRY_AFTER_SECONDS = 120.0


def parse_retry_after(value: str | None) -> float | None:
    """Seconds from a Retry-After header (RFC 9110, 10.2.3: seconds or a date); None where there is no sound one."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        seconds = (at - datetime.now(UTC)).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_SECONDS)


def delay_seconds(
    attempt: int, retry_after: float | None, *, uniform: Callable[[float, float], float] = random.uniform
) -> float:
    """How long to wait after failed attempt number ``attempt`` (from 0).

    Full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015) over the time that the back-off allows,
    added to what the server asked for.
    """
    spread = min(_LONGEST_SECONDS, _BASE_SECONDS * 2**attempt)
    return (retry_after or 0.0) + uniform(0.0, spread)


class Patience:
    """How long one call is repeated: a busy server for minutes, one that is not there once, after a moment."""

    def __init__(self) -> None:
        self._failures = 0
        self._unreached = 0

    def pause_after(self, error: StatusError | ConnectionLost) -> float | None:
        """Seconds until the next attempt; None where there is to be none."""
        self._failures += 1
        if isinstance(error, ConnectionLost) and not error.may_have_run:
            self._unreached += 1
            again = not error.certificate and self._unreached < _ATTEMPTS_TO_CONNECT
            return _CONNECT_AGAIN_SECONDS if again else None
        if self._failures == ATTEMPTS or (isinstance(error, StatusError) and not error.temporary):
            return None
        retry_after = error.retry_after if isinstance(error, StatusError) else None
        return delay_seconds(self._failures - 1, retry_after)
