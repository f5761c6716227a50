"""How an HTTP call to an OpenAI-compatible server can fail."""


class ConnectionLost(Exception):
    """No connection, or it broke or timed out before the answer was complete.

    ``may_have_run`` is False where the request cannot have reached the server, ``timed_out`` is True where it
    was silent, ``certificate`` where its certificate is not trusted.
    """

    def __init__(
        self, detail: str, *, may_have_run: bool, timed_out: bool = False, certificate: bool = False
    ) -> None:
        super().__init__(detail)
        self.may_have_run = may_have_run
        self.timed_out = timed_out
        self.certificate = certificate


class StatusError(Exception):
    """The server answered with an error; ``body`` is its parsed answer.

    ``retry_after`` is in seconds, from the Retry-After header.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        retry_after: float | None = None,
        body: object = None,
    ) -> None:
        super().__init__(f"{message} (HTTP {status})")
        self.status = status
        self.code = code
        self.body = body
        self.retry_after = retry_after

    @property
    def temporary(self) -> bool:
        """True where the same request may succeed later."""
        return self.status in {408, 425, 429} or (self.status >= 500 and self.status != 501)
