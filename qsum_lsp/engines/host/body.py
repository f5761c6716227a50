"""Reading a request body within a limit."""

from starlette.responses import Response
from starlette.types import Receive, Scope

from qsum_lsp.engines.host.replies import error_reply

LONGEST_BODY_BYTES = 4 * 1024 * 1024


class BadBody(Exception):
    """The body is too long, or never came."""

    def __init__(self, status: int, message: str, code: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def reply(self) -> Response:
        """The answer to the sender."""
        reply = error_reply(self.status, str(self), self.code)
        reply.headers["connection"] = "close"  # the rest of the body is not read
        return reply


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises BadBody; one that is announced as too long is not read at all."""
    for name, value in scope["headers"]:
        if name == b"content-length" and int(value) > LONGEST_BODY_BYTES:
            raise _too_long()
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise BadBody(400, "The body is incomplete.", "incomplete_body")
        part = event.get("body", b"")
        size += len(part)
        if size > LONGEST_BODY_BYTES:
            raise _too_long()
        parts.append(part)
        if not event.get("more_body", False):
            return b"".join(parts)


def _too_long() -> BadBody:
    return BadBody(413, f"The body is over {LONGEST_BODY_BYTES // 2**20} MiB.", "body_too_long")
