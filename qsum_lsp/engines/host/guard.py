"""What keeps strangers out, in front of the application."""

import hmac
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from qsum_lsp.engines.host.replies import error_reply

_LOOPBACK_NAMES = {"127.0.0.1", "localhost", "::1"}


class Guard:
    """Refuses web pages, foreign host names, and on TCP whoever does not know the token.

    A browser sends ``Origin`` or ``Sec-Fetch-Site`` with what a page asks for; no client of an engine does. The
    host name is checked against DNS rebinding, in which a page's own name comes to mean the loopback address.
    """

    def __init__(self, app: ASGIApp, *, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or answer it."""
        if scope["type"] != "http":
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        reply = None
        if b"origin" in headers or headers.get(b"sec-fetch-site", "none") != "none":
            reply = error_reply(403, "Web pages cannot use this engine.", "forbidden_origin")
        elif self._token is not None and not _is_loopback(headers.get(b"host", "")):
            reply = error_reply(403, "The engine is reached as 127.0.0.1 alone.", "forbidden_host")
        elif self._token is not None and not self._knows_token(headers.get(b"authorization", "")):
            reply = error_reply(401, "The bearer token is missing or wrong.", "invalid_token")
        elif scope["method"] == "POST" and not _is_json(headers.get(b"content-type", "")):
            reply = error_reply(415, "The body must be application/json.", "unsupported_media_type")
        await (reply or self._app)(scope, receive, send)

    def _knows_token(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        expected = (self._token or "").encode()
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), expected)


def _is_loopback(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _LOOPBACK_NAMES
    except ValueError:
        return False


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == "application/json"
