"""Work-done progress, for clients that show it."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer

_CREATE_SECONDS = 5.0
_REPORT_SECONDS = 0.1  # reports closer than that are left out


class Reporter:
    """Reports to a client's progress, or to nobody where ``token`` is None."""

    def __init__(self, server: LanguageServer, token: types.ProgressToken | None) -> None:
        self._server = server
        self._token = token
        self._next = 0.0

    def report(self, message: str, percentage: int | None = None) -> None:
        """Say how far the work is; what comes too soon after another report is left out."""
        now = time.monotonic()
        if self._token is None or now < self._next:
            return
        self._next = now + _REPORT_SECONDS
        self._server.work_done_progress.report(
            self._token,
            types.WorkDoneProgressReport(message=message, percentage=percentage, cancellable=True),
        )

    def end(self) -> None:
        """Report nothing any more: the work may go on for somebody else."""
        self._token = None

    def on_cancel(self, cancel: Callable[[], object]) -> None:
        """Call ``cancel`` when the user gives the work up."""
        future = self._server.work_done_progress.tokens.get(self._token) if self._token is not None else None
        if future is not None:
            future.add_done_callback(lambda done: cancel() if done.cancelled() else None)


@asynccontextmanager
async def work_done(
    server: LanguageServer, title: str, token: types.ProgressToken | None = None
) -> AsyncIterator[Reporter]:
    """Progress under ``title`` for the length of the block: with the client's own ``token``, else with a new one."""
    if token is None:
        token = await _created(server)
    if token is None:
        yield Reporter(server, None)
        return
    progress = server.work_done_progress
    progress.begin(token, types.WorkDoneProgressBegin(title=title, cancellable=True, percentage=0))
    reporter = Reporter(server, token)
    try:
        yield reporter
    finally:
        reporter.end()
        progress.tokens.pop(token, None)
        progress.end(token, types.WorkDoneProgressEnd())


async def _created(server: LanguageServer) -> str | None:
    window = server.client_capabilities.window
    if window is None or not window.work_done_progress:
        return None
    token = str(uuid.uuid4())
    try:
        await asyncio.wait_for(server.work_done_progress.create_async(token), _CREATE_SECONDS)
    except (TimeoutError, JsonRpcException):
        return None
    return token
