"""Messages over standard input and output, read by the event loop itself.

pygls reads with a thread: three times to it and back for each message, and each time a busy engine thread has to let
go of the interpreter first. Where the loop cannot read (Windows, a file), pygls does.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import stat
import sys
from typing import Any

import msgspec
from pygls.exceptions import JsonRpcException
from pygls.io_ import StdoutWriter

from qsum_lsp.lsp.server import QsumServer

_log = logging.getLogger(__name__)

BUFFER_BYTES = 1 << 22
_PIPE_BYTES = 1 << 20
_WEB_REQUEST = re.compile(rb"[A-Z]+ \S+ HTTP/\d\S*\s*")
"""Any web page may have one sent to a port of this machine; its length and body would be taken for a message."""

_LENGTH = re.compile(rb"Content-Length: *(\d+)\s*", re.IGNORECASE)


def serve_stdio(server: QsumServer) -> None:
    """Serve the client at the other end until it leaves."""
    if not _can_be_watched():
        server.start_io()
        return
    _widen_pipes()
    asyncio.run(_serve(server))


async def _serve(server: QsumServer) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=BUFFER_BYTES)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    server.protocol.set_writer(StdoutWriter(sys.stdout.buffer))
    try:
        await answer_messages(server, reader)
    except WebRequest:
        _log.warning("refused a request over HTTP")
    finally:
        transport.close()


class WebRequest(Exception):
    """Who sends a request over HTTP is no client."""


async def answer_messages(server: QsumServer, reader: asyncio.StreamReader) -> None:
    """Let the server take in all messages until the client leaves. Raises WebRequest."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):  # in the middle of a message
        while (body := await _next_body(reader)) is not None:
            try:
                server.protocol.handle_message(_decoded(body))
            except Exception as error:
                server.report_server_error(error, JsonRpcException)


async def _next_body(reader: asyncio.StreamReader) -> bytes | None:
    """The next message (LSP 3.17, Base Protocol); None at the end of the input. Raises WebRequest."""
    length = 0
    while header := await reader.readline():
        if found := _LENGTH.fullmatch(header):
            length = int(found[1])
        elif length and not header.strip():
            return await reader.readexactly(length)
        elif _WEB_REQUEST.fullmatch(header):
            raise WebRequest
    return None


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return json.loads(body)  # takes lone surrogates, which some editors send, and says what is wrong


def _can_be_watched() -> bool:
    """Whether the loop can wait for the input, and will not disturb the output by that: one socket may be both."""
    if sys.platform == "win32":
        return False
    given, taken = os.fstat(0), os.fstat(1)
    if (given.st_dev, given.st_ino) == (taken.st_dev, taken.st_ino):
        return False
    return stat.S_ISFIFO(given.st_mode) or stat.S_ISSOCK(given.st_mode)


def _widen_pipes() -> None:
    """Let a whole page through at once; by default a pipe of Linux takes 64 KiB, and both ends wait for each other."""
    if sys.platform == "linux":
        import fcntl

        for stream in (0, 1):
            with contextlib.suppress(OSError):  # a socket, or more than this user may have
                fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
