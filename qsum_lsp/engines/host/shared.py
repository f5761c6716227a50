"""The client of the shared engine: an Engine like any other, which starts and restarts the process at need."""

import asyncio
import logging
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from qsum_lsp.engines.host.clients import CLIENT_HEADER
from qsum_lsp.engines.host.launcher import Launcher
from qsum_lsp.engines.protocol import (
    Completion,
    EngineFailed,
    EngineIdentity,
    EngineStatus,
    GenerationRequest,
    OnText,
    RequestTooLong,
)
from qsum_lsp.engines.remote.failures import ConnectionLost, StatusError
from qsum_lsp.engines.remote.limiter import AdaptiveLimiter
from qsum_lsp.engines.remote.resume import resumable
from qsum_lsp.engines.remote.retry import delay_seconds
from qsum_lsp.engines.shared_task import result_of
from qsum_lsp.errors import EngineUnavailable

if TYPE_CHECKING:
    from qsum_lsp.engines.host.connection import Connection  # httpx takes 0.1 s to import

_log = logging.getLogger(__name__)

_FEWEST_AT_ONCE = 16
_MOST_AT_ONCE = 256
_HEALTH_EVERY_SECONDS = 5.0
_LOADED_EVERY_SECONDS = 0.2
_MOST_LOSSES = 2
_MOST_DEATHS = 5
_MOST_TURNS = 50
_FIRST_REST_SECONDS = 1.0
_LONGEST_REST_SECONDS = 60.0

_T = TypeVar("_T")


class SharedEngine:
    """Implements ``Engine`` over the process that ``launcher`` finds or starts.

    ``identity`` is what was loaded last with these settings, else what is expected of them; once the engine is
    loaded, what it says of itself. A request that was lost with the process is repeated once on the next one.
    """

    def __init__(self, launcher: Launcher, identity: EngineIdentity) -> None:
        self._launcher = launcher
        self._expected = identity
        self._loaded_identity = launcher.place.remembered()
        self._name = f"{os.getpid()}-{secrets.token_hex(4)}"
        self._limiter = AdaptiveLimiter(start=_FEWEST_AT_ONCE, most=_MOST_AT_ONCE, hover_reserve=8)
        self._connection: Connection | None = None
        self._known: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._calls = 0
        self._deaths = 0
        self._failures = 0
        self._rest_until = float("-inf")
        self._status = EngineStatus(state="unloaded")
        self._closed = False

    @property
    def identity(self) -> EngineIdentity:
        return self._loaded_identity or self._expected

    def status(self) -> EngineStatus:
        return self._status

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        async def call(connection: "Connection") -> list[int]:
            return await connection.count_tokens(texts)

        return await self._on_live_engine(call)

    async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        restart = resumable(on_text)

        async def call(connection: "Connection") -> Completion:
            return await connection.client.chat(
                request,
                model=self.identity.model,
                extra={
                    "source": request.source,
                    "priority": int(request.priority),
                    "enough_chars": request.enough_chars,
                    "enough_sentences": request.enough_sentences,
                },
                on_text=restart(),
                headers={CLIENT_HEADER: self._name},
            )

        async with self._limiter.slot(request.priority):
            return await self._on_live_engine(call)

    async def aclose(self) -> None:
        """Leave the engine; it serves others, and ends by itself when it is idle."""
        self._closed = True
        tasks = [task for task in (self._watch, self._connecting, *self._closing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._connection is not None:
            await self._connection.aclose()
            self._connection = None

    async def _on_live_engine(self, call: "Callable[[Connection], Awaitable[_T]]") -> _T:
        """The result of ``call``; it is repeated where it was lost with the engine, handed back or turned away."""
        lost_with: set[int] = set()  # a process that ends may take a connection, and break it, a second time
        for turn in range(_MOST_TURNS):
            connection = await self._connected()
            if self._watch is None or self._watch.done():
                self._watch = asyncio.create_task(self._watch_health())
            self._calls += 1
            try:
                with connection.in_use():
                    result = await call(connection)
                    await self._know(connection)
            except ConnectionLost as lost:
                self._forget(connection)
                if lost.may_have_run:
                    lost_with.add(connection.record.pid)
                await self._after_loss(len(lost_with), lost)
            except StatusError as error:
                await self._after_refusal(error, connection, turn)
            else:
                self._deaths = 0
                return result
            finally:
                self._calls -= 1
        raise EngineFailed("The shared engine has turned this request away too often; it is overloaded.")

    async def _after_loss(self, losses: int, lost: ConnectionLost) -> None:
        """Back off longer each time that the engine died with nothing done in between."""
        if losses >= _MOST_LOSSES:
            raise EngineFailed(f"The shared engine died twice with this request: {lost}.")
        if self._deaths >= _MOST_DEATHS:
            raise self._unavailable(
                f"The shared engine keeps dying. Its log is {self._launcher.place.log}; "
                "`engine_sharing = false` runs the engine without it."
            )
        if self._deaths > 1:
            await asyncio.sleep(delay_seconds(self._deaths - 2, None))

    async def _after_refusal(self, error: StatusError, connection: "Connection", turn: int) -> None:
        message = str(error)
        if error.status == 429:
            await asyncio.sleep(delay_seconds(0, error.retry_after))
        elif error.code == "engine_stopping":
            self._forget(connection, died=False)
            await asyncio.sleep(_handover_seconds(turn))
        elif error.code == "engine_unavailable":
            self._forget(connection)
            raise self._unavailable(message.removesuffix(" (HTTP 503)"))
        elif error.code == "model_not_found" and self._known is not connection:
            await self._know(connection)
            if self._known is not connection:  # it is leaving
                await asyncio.sleep(_handover_seconds(turn))
        elif error.code in {"context_length_exceeded", "body_too_long"}:
            raise RequestTooLong(message)
        else:
            raise EngineFailed(f"The shared engine answered: {message}")

    async def _connected(self) -> "Connection":
        """The connection, made once for all who wait for it. Raises EngineUnavailable."""
        if self._closed:
            raise EngineUnavailable("The engine is closed.")
        if self._connection is not None:
            return self._connection
        if asyncio.get_running_loop().time() < self._rest_until:
            raise EngineUnavailable(self._status.detail)
        if self._connecting is None:
            self._status = EngineStatus(state="loading")
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(self._note_connection)
        try:
            return await result_of(self._connecting, closed="The engine is closed.")
        except EngineUnavailable as error:
            raise EngineUnavailable(str(error)) from None  # one object must not be raised in several tasks

    async def _connect(self) -> "Connection":
        from qsum_lsp.engines.host.connection import Connection

        return Connection(await self._launcher.ensure())

    def _note_connection(self, task: "asyncio.Task[Connection]") -> None:
        self._connecting = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._connection = task.result()
        else:
            self._unavailable(str(error))

    def _unavailable(self, message: str) -> EngineUnavailable:
        """Remember for a while, longer each time, that there is no engine: each attempt starts a process."""
        rest = min(_LONGEST_REST_SECONDS, _FIRST_REST_SECONDS * 2**self._failures)
        self._failures += 1
        self._deaths = 0
        self._rest_until = asyncio.get_running_loop().time() + rest
        self._status = EngineStatus(state="failed", detail=message)
        return EngineUnavailable(message)

    def _forget(self, connection: "Connection", *, died: bool = True) -> None:
        """The engine goes or is gone; the first to notice drops the connection for all."""
        if self._connection is not connection:
            return
        self._connection = None
        self._deaths += died
        self._status = EngineStatus(state="loading", detail="restarting")
        task = asyncio.create_task(_close_when_unused(connection))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _know(self, connection: "Connection") -> None:
        """Ask once which engine answers: where the memory was short, it is a smaller one than was expected.

        While it loads, that is not settled and is waited for.
        """
        while self._known is not connection and connection is self._connection:
            health = await connection.health()
            if connection is not self._connection:
                return
            self._take(health)
            if health.get("state") == "ready":
                self._known = connection
            elif health.get("state") != "loading":
                return
            else:
                await asyncio.sleep(_LOADED_EVERY_SECONDS)

    async def _watch_health(self) -> None:
        """While calls are under way: keep the status, and kill an engine that hangs."""
        while self._calls:
            if (connection := self._connection) is not None:
                health = await connection.health()
                if health.get("state") == "stalled":
                    _log.warning("The shared engine (process %d) hangs and is ended.", connection.record.pid)
                    connection.record.kill()
                if connection is self._connection:
                    self._take(health)
            await asyncio.sleep(_HEALTH_EVERY_SECONDS)

    def _take(self, health: dict[str, Any]) -> None:
        state = health.get("state")
        if state not in {"ready", "loading"}:
            return
        if state == "ready":
            self._failures = 0
            self._limiter.limit = min(_MOST_AT_ONCE, max(_FEWEST_AT_ONCE, 2 * (health.get("slots") or 0)))
            self._loaded_identity = EngineIdentity(**health["identity"])
        self._status = EngineStatus(
            state=state,
            device=health.get("device"),
            running=health.get("running", 0),
            waiting=health.get("waiting", 0),
            slots=health.get("slots"),
            memory_bytes=health.get("memory_bytes"),
            tokens_per_second=health.get("tokens_per_second"),
            detail=health.get("detail", ""),
        )


def _handover_seconds(turn: int) -> float:
    """How long a process that leaves is given to make room for the next one."""
    return min(0.05 * (1 << turn), 1.0)


async def _close_when_unused(connection: "Connection") -> None:
    """A stopping engine still finishes what it had begun, over connections that must stay open for that."""
    try:
        while connection.users:  # noqa: ASYNC110 — rare, and over in seconds
            await asyncio.sleep(0.1)
    finally:
        await connection.aclose()
