"""An engine with its queue and its figures: what the HTTP interface serves."""

import asyncio
import logging
import os
import time
from dataclasses import asdict
from typing import Any, Literal

import psutil

from qsum_lsp.engines.host.clients import Clients
from qsum_lsp.engines.host.metrics import Metrics
from qsum_lsp.engines.host.scheduler import Scheduler
from qsum_lsp.engines.protocol import Engine, EngineFailed, GenerationRequest, Message, Priority
from qsum_lsp.errors import EngineUnavailable

_log = logging.getLogger(__name__)

_MOST_WAITING = 4096
_MOST_WAITING_PER_CLIENT = 1024
_STALLED_SECONDS = 300.0
_MEMORY_READ_SECONDS = 5.0


class HostedEngine:
    """``engine``, loaded once; requests that come before that wait for it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.scheduler = Scheduler(
            engine, most_waiting=_MOST_WAITING, most_waiting_per_client=_MOST_WAITING_PER_CLIENT
        )
        self.metrics = Metrics(running=lambda: self.scheduler.running, waiting=lambda: self.scheduler.waiting)
        self.clients = Clients()
        self.state: Literal["loading", "ready", "failed", "stopping"] = "loading"
        self.failure: EngineUnavailable | None = None
        self._settled = asyncio.Event()
        self._began = time.time()
        self._memory: int | None = None
        self._memory_read = float("-inf")

    @property
    def busy(self) -> bool:
        """Whether it loads, or a request runs or waits."""
        return self.state == "loading" or bool(self.scheduler.running or self.scheduler.waiting)

    @property
    def broken(self) -> bool:
        """Whether the engine was loaded and has failed for good, as after an error of the device."""
        return self.state == "ready" and self.engine.status().state == "failed"

    async def load(self) -> None:
        """Load by generating one token; then let the requests through, or fail them all."""
        request = GenerationRequest(
            messages=(Message("user", "Hi"),), source="Hi", max_new_tokens=1, priority=Priority.HOVER
        )
        began = time.monotonic()
        try:
            await self.engine.generate(request)
        except EngineUnavailable as error:
            self._fail(error)
        except EngineFailed as error:
            self._fail(EngineUnavailable(f"The engine does not answer: {error}"))
        except Exception as error:
            _log.exception("The engine does not load")
            self._fail(EngineUnavailable(f"The engine does not load: {type(error).__name__}: {error}"))
        else:
            self.state = "ready"
            _log.info("loaded %s in %.1f s", self.engine.identity.model, time.monotonic() - began)
            self.scheduler.open(self.engine.status().slots)
            self._settled.set()

    async def loaded(self) -> None:
        """Wait for the model. Raises EngineUnavailable."""
        await self._settled.wait()
        if self.failure is not None:
            raise EngineUnavailable(str(self.failure))

    def health(self) -> dict[str, Any]:
        """All that is known, for clients and for people."""
        status = self.engine.status()
        return {
            "state": "stalled" if self.state == "ready" and self._stalled() else self.state,
            "detail": str(self.failure or status.detail),
            "pid": os.getpid(),
            "identity": asdict(self.engine.identity),
            "device": status.device,
            "running": self.scheduler.running,
            "waiting": self.scheduler.waiting,
            "slots": status.slots,
            "memory_bytes": status.memory_bytes or self._memory_of_processes(),
            "tokens_per_second": self.metrics.tokens_per_second(),
            "uptime_seconds": round(time.time() - self._began, 1),
            "clients": self.clients.recent(),
        }

    def _fail(self, error: EngineUnavailable) -> None:
        self.state = "failed"
        self.failure = error
        self.scheduler.fail(error)
        self._settled.set()

    def _stalled(self) -> bool:
        """Whether requests run but none has made a token for a long time."""
        silent = asyncio.get_running_loop().time() - self.scheduler.last_progress
        return self.scheduler.running > 0 and silent > _STALLED_SECONDS

    def _memory_of_processes(self) -> int | None:
        """Resident memory of this process and its children, in bytes; at most a few seconds old."""
        now = time.monotonic()
        if now - self._memory_read > _MEMORY_READ_SECONDS:
            self._memory_read = now
            try:
                own = psutil.Process()
                parts = (own, *own.children(recursive=True))
                self._memory = sum(part.memory_info().rss for part in parts)
            except psutil.Error:
                self._memory = None
        return self._memory
