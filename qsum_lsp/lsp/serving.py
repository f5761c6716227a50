"""Running the server on a transport until its client leaves."""

import logging
import sys
from typing import Literal

from qsum_lsp.errors import UsageError
from qsum_lsp.logs import log_to_file
from qsum_lsp.lsp.features import create_server
from qsum_lsp.lsp.logs import LOG_NAME
from qsum_lsp.lsp.network import serve_tcp, serve_websocket
from qsum_lsp.lsp.stdio import serve_stdio

Transport = Literal["stdio", "tcp", "ws"]

_SWITCH_SECONDS = 0.0001
"""Planning a long page keeps the engine's thread busy; the protocol's must not wait its turn for 5 ms at each step."""


def serve(transport: Transport, *, host: str, port: int) -> int:
    """Serve one client; returns 0 where it left in order, else 1. Raises UsageError."""
    log_to_file(LOG_NAME)
    sys.setswitchinterval(_SWITCH_SECONDS)
    server = create_server()
    try:
        match transport:
            case "stdio":
                serve_stdio(server)
            case "tcp":
                serve_tcp(server, host, port)
            case "ws":
                serve_websocket(server, host, port)
    except OSError as error:
        raise UsageError(f"The server cannot listen on {host}:{port}: {error.strerror}.") from error
    except (SystemExit, KeyboardInterrupt):
        pass  # how pygls ends its loops, and people do
    finally:
        server.release()
        logging.shutdown()
    return 0 if server.protocol.is_shut_down else 1
