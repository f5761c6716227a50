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
        return error_reply(self.status, str(self), self.code)


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body. Raises BadBody.

    What is over the limit is read but not kept: a sender that is cut while it sends never sees the answer. How
    long it may take is bounded by the server.
    """
    announced = next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
    too_long = announced > LONGEST_BODY_BYTES
    parts: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise BadBody(400, "The body is incomplete.", "incomplete_body")
        part = event.get("body", b"")
        size += len(part)
        too_long = too_long or size > LONGEST_BODY_BYTES
        if too_long:
            parts.clear()
        else:
            parts.append(part)
        if not event.get("more_body", False):
            break
    if too_long:
        raise BadBody(413, f"The body is over {LONGEST_BODY_BYTES // 2**20} MiB.", "body_too_long")
    return b"".join(parts)
