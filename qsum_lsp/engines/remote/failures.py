"""How an HTTP call to an OpenAI-compatible server can fail."""


class ConnectionLost(Exception):
    """No connection, or it broke or timed out before the answer was complete.

    ``may_have_run`` is False where the request cannot have reached the server.
    """

    def __init__(self, detail: str, *, may_have_run: bool, certificate: bool = False) -> None:
        super().__init__(detail)
        self.may_have_run = may_have_run
        self.certificate = certificate


class StatusError(Exception):
    """The server answered with an error. ``retry_after`` is in seconds, from its Retry-After header."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{message} (HTTP {status})")
        self.status = status
        self.code = code
        self.retry_after = retry_after

    @property
    def temporary(self) -> bool:
        """True where the same request may succeed later."""
        return self.status in {408, 425, 429} or (self.status >= 500 and self.status != 501)
