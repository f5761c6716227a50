"""Finds the shared engine, and starts it where none runs: one client starts, the others wait."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from filelock import Timeout

from qsum_lsp import home
from qsum_lsp.engines.host.place import EnginePlace, EngineRecord
from qsum_lsp.errors import EngineUnavailable

ALREADY_RUNNING = 75  # EX_TEMPFAIL of sysexits.h
_REACHABLE_SECONDS = 60.0
_CONNECT_SECONDS = 5.0
_POLL_SECONDS = 0.03
_MOST_STARTS = 3
_LONGEST_LOG_BYTES = 1_000_000
_WINDOWS_FLAGS = 0x00000008 | 0x00000200  # DETACHED_PROCESS, CREATE_NEW_PROCESS_GROUP


class Launcher:
    """Brings one client to the engine at ``place``; ``command`` starts the engine process."""

    def __init__(self, place: EnginePlace, command: Sequence[str]) -> None:
        self.place = place
        self._command = list(command)
        self._processes: list[subprocess.Popen[bytes]] = []

    async def find(self) -> EngineRecord | None:
        """The engine that can be reached now, loaded or still loading."""
        record = self.place.read()
        if record is None or not await _accepts(record):
            return None
        return record if self.place.read() == record else None  # else the next process accepted at its socket

    async def ensure(self) -> EngineRecord:
        """The engine, started where it has to be; it may still be loading. Raises EngineUnavailable."""
        record = await self.find()
        if record is not None:
            return record
        self.place.prepare()
        began = time.time()
        give_up_at = time.monotonic() + _REACHABLE_SECONDS
        while time.monotonic() < give_up_at:
            async with self._may_start() as first:
                record = await self.find()
                if record is None and first:
                    await self._start(give_up_at)
                    record = await self.find()
            if record is not None:
                return record
            failure = self.place.failure_since(began)
            if failure is not None:
                raise EngineUnavailable(failure)
            await asyncio.sleep(_POLL_SECONDS)
        raise EngineUnavailable(
            f"The shared engine could not be reached within {_REACHABLE_SECONDS:.0f} s of its start. "
            f"Its log is {self.place.log}; `engine_sharing = false` runs the engine without it."
        )

    async def _start(self, give_up_at: float) -> None:
        """Start the process and wait until it can be reached or has ended; one that is killed is started again."""
        for _ in range(_MOST_STARTS):
            process = self._spawn()
            while process.poll() is None and time.monotonic() < give_up_at:
                if await self.find() is not None:
                    return
                await asyncio.sleep(_POLL_SECONDS)
            code = process.poll()
            if code is None or code >= 0:
                break
        if code not in {None, 0, ALREADY_RUNNING} and self.place.failure_since(time.time() - 5) is None:
            self.place.write_failure(self._why(code))

    def _spawn(self) -> subprocess.Popen[bytes]:
        self._processes = [process for process in self._processes if process.poll() is None]
        log = self.place.log
        detached: dict[str, Any] = (
            {"creationflags": _WINDOWS_FLAGS} if sys.platform == "win32" else {"start_new_session": True}
        )
        with contextlib.suppress(OSError):
            if log.stat().st_size > _LONGEST_LOG_BYTES:
                log.replace(log.with_suffix(".log.1"))
        try:
            with log.open("ab") as output:
                process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd=home.run_folder(),  # not the folder of the client, which may go away
                    env={**os.environ, "QSUM_HOME": str(home.home().absolute())},
                    **detached,
                )
        except OSError as error:
            raise EngineUnavailable(f"The shared engine cannot be started: {error}.") from error
        self._processes.append(process)  # kept, so that the process is waited for when it has ended
        return process

    def _why(self, code: int) -> str:
        """What is known of a process that ended before it could be reached."""
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        last = _last_line(self.place.log)
        return f"The shared engine {how} while it started{': ' + last if last else ''}. Its log is {self.place.log}."

    @contextlib.asynccontextmanager
    async def _may_start(self) -> AsyncIterator[bool]:
        lock = self.place.starting_lock()
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()


async def _accepts(record: EngineRecord) -> bool:
    """Whether somebody listens at the address; a Unix socket of a dead process refuses."""
    kind, _, rest = record.address.partition(":")
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            if kind == "unix":
                _, writer = await asyncio.open_unix_connection(rest)
            elif record.process() is None:
                return False  # another program may have the port by now
            else:
                host, _, port = rest.removeprefix("//").partition(":")
                _, writer = await asyncio.open_connection(host, int(port))
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    except (OSError, TimeoutError):
        return False
    return True


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 2000))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")[:300]
