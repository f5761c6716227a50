"""The engine process from its start to its end: lock, listen, load, serve, leave."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator

import psutil
from filelock import FileLock, Timeout

from qsum_lsp.engines.host.app import create_app
from qsum_lsp.engines.host.guard import Guard
from qsum_lsp.engines.host.hosted import HostedEngine
from qsum_lsp.engines.host.listen import (
    HttpServer,
    allow_many_connections,
    loopback_listener,
    unix_listener,
)
from qsum_lsp.engines.host.place import EnginePlace, EngineRecord, start_mark
from qsum_lsp.engines.protocol import Engine
from qsum_lsp.errors import EngineUnavailable

_log = logging.getLogger(__name__)

_LEAVING_SECONDS = 30.0  # how long a process that leaves may keep the lock
_FINISH_SECONDS = 10.0
_TELL_FAILURE_SECONDS = 2.0
_WATCH_SECONDS = 0.5


class AlreadyRunning(Exception):
    """Another process serves this engine."""


class EngineProcess:
    """Serves ``engine`` at ``place`` until it is told to stop, idle for ``idle_minutes``, or the engine fails for good.

    Idle is: no request runs and no client has a connection open. With ``tcp`` it listens on the loopback
    interface (``port`` 0 for a free one) behind a random token.
    """

    def __init__(
        self,
        engine: Engine,
        place: EnginePlace,
        *,
        idle_minutes: float,
        tcp: bool = sys.platform == "win32",
        port: int = 0,
    ) -> None:
        self._hosted = HostedEngine(engine)
        self._place = place
        self._idle_seconds = idle_minutes * 60
        self._port = port
        self._token = secrets.token_urlsafe(32) if tcp else None
        self._stop = asyncio.Event()
        self._http = HttpServer(Guard(create_app(self._hosted), token=self._token))

    async def run(self) -> None:
        """Serve to the end. Raises AlreadyRunning, EngineUnavailable (it cannot listen, or the engine does not load)."""
        self._place.prepare()
        allow_many_connections()
        with _held(self._place), self._signals():
            self._listen()
            loading = asyncio.create_task(self._load())
            serving = asyncio.create_task(self._http.serve(sockets=[self._listener]))
            try:
                await self._until_the_end(serving)
            finally:
                await self._leave(serving, loading)
        if self._hosted.failure is not None:
            raise self._hosted.failure

    def _listen(self) -> None:
        self._place.remove()  # what a dead process left: its record must not be read as that of our socket
        if self._token is None:
            self._listener = unix_listener(self._place.socket)
            address = f"unix:{self._place.socket}"
        else:
            self._listener = loopback_listener(self._port)
            address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._record = EngineRecord(
            pid=os.getpid(),
            created=psutil.Process().create_time(),
            address=address,
            token=self._token,
            model=self._hosted.engine.identity.model,
            started=start_mark(os.getpid()),
        )
        self._place.write(self._record)

    async def _load(self) -> None:
        await self._hosted.load()
        if self._hosted.failure is None:
            self._place.remember(self._hosted.engine.identity)
            return
        with contextlib.suppress(EngineUnavailable):
            self._place.write_failure(str(self._hosted.failure))
        await asyncio.sleep(_TELL_FAILURE_SECONDS)  # those who are connected hear it from us
        self._stop.set()

    async def _until_the_end(self, serving: asyncio.Task[None]) -> None:
        last_use = time.monotonic()
        while not self._stop.is_set() and not serving.done():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _WATCH_SECONDS)
            if self._hosted.broken:
                _log.error("the engine failed: leaving, so that another process can start it")
                return
            if self._hosted.busy or self._http.connections:
                last_use = time.monotonic()
            elif time.monotonic() - last_use >= self._idle_seconds:
                _log.info("idle for %g minutes: leaving", self._idle_seconds / 60)
                return

    async def _leave(self, serving: asyncio.Task[None], loading: asyncio.Task[None]) -> None:
        """Out of sight for new clients first, then end what runs, then the engine and the connections."""
        self._hosted.state = "stopping"
        self._place.leave(self._record)
        loading.cancel()
        await asyncio.gather(loading, return_exceptions=True)
        await self._hosted.scheduler.stop(_FINISH_SECONDS)
        self._http.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)
        await self._hosted.engine.aclose()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT stop gracefully; a second one at once."""
        loop = asyncio.get_running_loop()

        def stop(number: int, _: object) -> None:
            if self._stop.is_set():
                os._exit(128 + number)
            loop.call_soon_threadsafe(self._stop.set)

        former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _held(place: EnginePlace) -> Iterator[None]:
    """The running lock. A process that is leaving has taken its record away and is waited for.

    Raises AlreadyRunning where one serves.
    """
    lock: FileLock = place.running_lock()
    give_up_at = time.monotonic() + _LEAVING_SECONDS
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            record = place.read()
            serves = record is not None and record.process() is not None
            if serves or time.monotonic() > give_up_at:
                raise AlreadyRunning from None
            time.sleep(0.05)
    try:
        yield
    finally:
        lock.release()
