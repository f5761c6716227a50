"""The HTTP server: uvicorn, with time-outs for whoever connects and does not get on with it."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from qsum_lsp.errors import EngineUnavailable

REQUEST_SECONDS = 15.0
KEEP_ALIVE_SECONDS = 60
_GRACE_SECONDS = 3
_BACKLOG = 1024


class PromptProtocol(HttpToolsProtocol):
    """HTTP/1.1 that cuts a connection whose request is not complete in time.

    uvicorn bounds only the pause between requests; here the time from the connection, and after that from
    a request's first byte, to its last is bounded as well.
    """

    request_seconds = REQUEST_SECONDS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._expect_request()

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._expect_request()
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """A request's last byte."""
        self._forget_deadline()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._forget_deadline()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        self._forget_deadline()
        self._deadline = self.loop.call_later(self.request_seconds, self._cut)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _cut(self) -> None:
        self.transport.abort()


class HttpServer(uvicorn.Server):
    """A uvicorn server that leaves the signals to its owner."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=PromptProtocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Change no signal handler."""
        yield

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self.server_state.connections)


def unix_listener(path: Path) -> socket.socket:
    """A listening socket that only this user can reach; its folder is private already."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(path))
    path.chmod(0o600)
    listener.listen(_BACKLOG)  # nobody can connect before this
    listener.setblocking(False)
    return listener


def loopback_listener(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 takes a free one. Raises EngineUnavailable."""
    try:
        listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
    except OSError as error:
        raise EngineUnavailable(
            f"The port {port} of 127.0.0.1 cannot be used: {error.strerror}. Choose another with --port, or leave it out."
        ) from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setblocking(False)
    return listener


def allow_many_connections() -> None:
    """Raise the limit of open files, which counts connections, as far as the system lets us."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted: Any = 16384 if hard == resource.RLIM_INFINITY else min(hard, 16384)
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
