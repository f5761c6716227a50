"""The model process as its parent sees it: started, waited for, its log kept, ended."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict

from qsum_lsp.engines.llama.worker import WorkerConfig
from qsum_lsp.errors import EngineUnavailable

log = logging.getLogger(__name__)

_LOG_LINES_KEPT = 60
_LOG_SECONDS = 10.0


class WorkerProcess:
    """A running ``qsum_lsp.engines.llama.worker``. Threads read its pipes, so that no event loop ever waits."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config
        self._lines: deque[str] = deque(maxlen=_LOG_LINES_KEPT)
        # -P: a module in the working folder, which may be anybody's repository, is never imported.
        # A session of its own: Ctrl-C at the terminal is for the parent, which then ends this process.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "qsum_lsp.engines.llama.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._log_thread = _daemon(self._read_log)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """True once the process is gone."""
        return self._process.poll() is not None

    async def ended_within(self, seconds: float) -> bool:
        """True once the process is gone; its connections break a moment before it can be seen to be."""
        try:
            await asyncio.to_thread(self._process.wait, seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    async def ready(self) -> tuple[str, str]:
        """The server's URL and the device's name, once the model is loaded. Raises EngineUnavailable."""
        loop = asyncio.get_running_loop()
        line: asyncio.Future[bytes] = loop.create_future()

        def deliver(value: bytes) -> None:
            if not line.done():
                line.set_result(value)

        def handshake() -> None:
            assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018
            try:
                self._process.stdin.write(json.dumps(asdict(self._config)).encode() + b"\n")
                self._process.stdin.flush()
                value = self._process.stdout.readline()
            except (OSError, ValueError):
                value = b""
            _call_soon(loop, deliver, value)

        _daemon(handshake)
        try:
            reply = json.loads(await line)
        except ValueError:
            reply = {"error": "the model process ended"}
        if "error" in reply:
            await asyncio.to_thread(self._log_thread.join, _LOG_SECONDS)
            await self.ended_within(1.0)  # what it was ended by can be told only then
            raise EngineUnavailable(self._why_not(str(reply["error"])))
        return reply["url"], reply["device"]

    async def end(self) -> None:
        """Kill the process, which has nothing to save, and wait until it is gone."""
        loop = asyncio.get_running_loop()
        gone: asyncio.Future[None] = loop.create_future()

        def deliver() -> None:
            if not gone.done():
                gone.set_result(None)

        def kill() -> None:
            self._process.kill()
            self._process.wait()
            self._log_thread.join()
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        log.debug("closing a pipe of the model process failed", exc_info=True)
            _call_soon(loop, deliver)

        _daemon(kill)
        await asyncio.shield(gone)

    def why_ended(self) -> str:
        """For people: how the process came to its end."""
        code = self._process.poll()
        if code is not None and code < 0:
            killed = " (out of memory?)" if code == -9 else ""
            return f"the model process was ended by signal {-code}{killed}"
        return f"the model process ended with code {code}"

    def _read_log(self) -> None:
        assert self._process.stderr is not None  # noqa: S101
        for raw in self._process.stderr:
            line = raw.decode("utf-8", "replace").rstrip()
            self._lines.append(line)
            log.debug("%s", line)

    def _why_not(self, error: str) -> str:
        lines = list(self._lines)
        text = "\n".join(lines)
        path = self._config.model_path
        if "ModuleNotFoundError" in error or "ImportError" in error:
            return f"llama.cpp cannot be used here ({error}). Reinstall qsum-lsp, or set engine to remote or extractive."
        if "unknown model architecture" in text:
            name = text.partition("unknown model architecture")[2].split("\n")[0].strip(" :")
            return (
                f"{path}: this llama.cpp does not know the model architecture {name}. Choose another model."
            )
        if any(hint in text for hint in ("failed to allocate", "unable to allocate", "bad_alloc")) or (
            self._process.poll() == -9
        ):
            return (
                f"{path}: there is not enough memory to load this model. Choose a smaller model, "
                "lower context_tokens, or close other programs."
            )
        reason = next(
            (line for line in lines if "error loading model" in line), lines[-1] if lines else error
        )
        reason = reason.rpartition("error loading model: ")[2]
        return (
            f"{path}: llama.cpp could not load this file ({reason}). Pull the model again, or choose another."
        )


def _daemon(target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target, name="qsum-llama", daemon=True)
    thread.start()
    return thread


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *values: object) -> None:
    try:
        loop.call_soon_threadsafe(callback, *values)
    except RuntimeError:
        log.debug("the event loop closed before the model process answered")
