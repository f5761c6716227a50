"""Log records to the editor's own log view."""

import asyncio
import logging

from lsprotocol import types
from pygls.lsp.server import LanguageServer

LOG_NAME = "lsp"
"""Of the file in the log folder."""

_TYPES = (
    (logging.ERROR, types.MessageType.Error),
    (logging.WARNING, types.MessageType.Warning),
    (logging.INFO, types.MessageType.Info),
)


class ClientLogHandler(logging.Handler):
    """Sends qsum's records to the client as ``window/logMessage``, from whatever thread."""

    def __init__(self, server: LanguageServer, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.INFO)
        self._server = server
        self._loop = loop
        self.setFormatter(logging.Formatter("%(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; what cannot be sent is dropped."""
        kind = next((kind for level, kind in _TYPES if record.levelno >= level), types.MessageType.Log)
        try:
            params = types.LogMessageParams(type=kind, message=self.format(record))
            self._loop.call_soon_threadsafe(self._server.window_log_message, params)
        except RuntimeError:  # the loop has ended
            return
