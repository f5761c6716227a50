"""JSON replies, and errors in the form of the OpenAI API."""

import math
from typing import Any

import msgspec
from starlette.responses import Response

_encoder = msgspec.json.Encoder()


def encode(value: Any) -> bytes:
    """JSON in UTF-8."""
    return _encoder.encode(value)


def json_reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(encode(value), status, headers, media_type="application/json")


def error_body(message: str, code: str) -> dict[str, Any]:
    """The error object of the OpenAI API."""
    return {"error": {"message": message, "type": code, "code": code, "param": None}}


def error_reply(status: int, message: str, code: str, *, retry_after: float | None = None) -> Response:
    """An error response; ``retry_after`` in seconds."""
    headers = None if retry_after is None else {"Retry-After": str(math.ceil(retry_after))}
    return json_reply(error_body(message, code), status, headers)
