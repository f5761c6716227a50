"""The model process as its parent sees it: started, waited for, its log kept, ended."""

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections import deque
from dataclasses import asdict

from qsum_lsp.daemon_thread import in_daemon_thread
from qsum_lsp.engines.llama.worker import WorkerConfig
from qsum_lsp.errors import EngineUnavailable

_log = logging.getLogger(__name__)

_LOG_LINES_KEPT = 60
_LOG_SECONDS = 10.0
_THREAD_NAME = "qsum-llama"


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
        self._log_thread = threading.Thread(target=self._read_log, name=_THREAD_NAME, daemon=True)
        self._log_thread.start()

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
        try:
            reply = json.loads(await in_daemon_thread(self._handshake, name=_THREAD_NAME))
        except ValueError:
            reply = {"error": "the model process ended"}
        if "error" in reply:
            await asyncio.to_thread(self._log_thread.join, _LOG_SECONDS)
            await self.ended_within(1.0)  # what it was ended by can be told only then
            raise EngineUnavailable(self._why_not(str(reply["error"])))
        return reply["url"], reply["device"]

    async def end(self) -> None:
        """Kill the process, which has nothing to save, and wait until it is gone."""
        await in_daemon_thread(self._kill, name=_THREAD_NAME)

    def why_ended(self) -> str:
        """For people: how the process came to its end."""
        code = self._process.poll()
        if code is not None and code < 0:
            killed = " (out of memory?)" if code == -9 else ""
            return f"the model process was ended by signal {-code}{killed}"
        return f"the model process ended with code {code}"

    def _handshake(self) -> bytes:
        """Tell the process what to load; the line it answers, empty where it ends without one."""
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018
        try:
            self._process.stdin.write(json.dumps(asdict(self._config)).encode() + b"\n")
            self._process.stdin.flush()
            return self._process.stdout.readline()
        except (OSError, ValueError):
            return b""

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log_thread.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:
                    _log.debug("closing a pipe of the model process failed", exc_info=True)

    def _read_log(self) -> None:
        assert self._process.stderr is not None  # noqa: S101
        for raw in self._process.stderr:
            line = raw.decode("utf-8", "replace").rstrip()
            self._lines.append(line)
            _log.debug("%s", line)

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
