"""One client over TCP or a WebSocket.

pygls takes in whoever connects, and then sends the answers to the one that came last. A browser lets any web page
connect to a port of this machine, so what comes from a page is refused.
"""

import asyncio
import logging
import re
import threading
from typing import TYPE_CHECKING

from pygls.io_ import run_websocket

from qsum_lsp.lsp.server import QsumServer
from qsum_lsp.lsp.stdio import BUFFER_BYTES, WebRequest, answer_messages

if TYPE_CHECKING:  # only ``--ws`` needs it
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

_log = logging.getLogger(__name__)

_THIS_MACHINE = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
_TRY_AGAIN_LATER = 1013
"""Why a WebSocket was closed (IANA's registry of close codes)."""


def serve_tcp(server: QsumServer, host: str, port: int) -> None:
    """Serve the first client that connects until it leaves. Raises OSError where the port cannot be had."""
    asyncio.run(_serve_tcp(server, host, port))


def serve_websocket(server: QsumServer, host: str, port: int) -> None:
    """Serve the first client that connects until it leaves. Raises OSError where the port cannot be had."""
    asyncio.run(_serve_websocket(server, host, port))


class _OnlyClient:
    """The one that is served."""

    def __init__(self) -> None:
        self._is_here = False
        self.has_left = asyncio.Event()

    def is_another(self) -> bool:
        """Whether one who connects comes after the first."""
        was_here, self._is_here = self._is_here, True
        if was_here:
            _log.warning("refused a second connection: one client is served at a time")
        return was_here

    def was_none(self) -> None:
        """Who connected is no client; the next one may be."""
        self._is_here = False

    def leave(self) -> None:
        """The connection ends, and with the client's the server."""
        if self._is_here:
            self.has_left.set()


async def _serve_tcp(server: QsumServer, host: str, port: int) -> None:
    client = _OnlyClient()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if client.is_another():
                return
            server.protocol.set_writer(writer)
            try:
                await answer_messages(server, reader)
            except WebRequest:
                _log.warning("refused a request over HTTP")
                client.was_none()
            finally:
                client.leave()
        finally:
            writer.close()

    async with await asyncio.start_server(connected, host, port, limit=BUFFER_BYTES):
        await client.has_left.wait()


async def _serve_websocket(server: QsumServer, host: str, port: int) -> None:
    from websockets.asyncio.server import serve

    client = _OnlyClient()

    async def connected(websocket: "ServerConnection") -> None:
        if client.is_another():
            await websocket.close(_TRY_AGAIN_LATER, "Another client is served.")
            return
        try:
            await run_websocket(
                websocket, threading.Event(), server.protocol, _log, error_handler=server.report_server_error
            )
        finally:
            client.leave()

    async with serve(connected, host, port, process_request=_refusal):
        await client.has_left.wait()


def _refusal(connection: "ServerConnection", request: "Request") -> "Response | None":
    """The answer to a handshake for a web page of somewhere else; editors name no origin."""
    for origin in request.headers.get_all("Origin"):
        if not _THIS_MACHINE.fullmatch(origin):
            _log.warning("refused a connection for a web page of %s", origin)
            return connection.respond(403, "Web pages cannot use this server.\n")
    return None
