"""Where one shared engine is found: its socket, its lock, and what it writes down about itself."""

import contextlib
import hashlib
import json
import os
import stat
import sys
import tempfile
import time
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Self

import psutil
from filelock import FileLock

from qsum_lsp import __version__, home
from qsum_lsp.engines.protocol import EngineIdentity
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.settings.values import Settings

_LONGEST_SOCKET_PATH = 103  # sun_path has 104 bytes on macOS and 108 on Linux, with the final NUL
_SAME_PROCESS_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRecord:
    """What a running engine process writes down. ``address`` is ``unix:PATH`` or ``http://127.0.0.1:PORT``.

    The process's start tells it from a later process with the same number: ``started``, its ``start_mark``, or where
    that is empty ``created`` (seconds since the epoch), which on Linux moves when the clock is set.
    """

    pid: int
    created: float
    address: str
    token: str | None = None
    model: str = ""
    started: str = ""

    def process(self) -> psutil.Process | None:
        """The process, where it still runs."""
        try:
            process = psutil.Process(self.pid)
            if self.started:
                same = start_mark(self.pid) == self.started
            else:
                same = abs(process.create_time() - self.created) <= _SAME_PROCESS_SECONDS
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None

    def kill(self) -> None:
        """End the process at once, where it still runs."""
        process = self.process()
        if process is not None:
            with contextlib.suppress(psutil.Error):
                process.kill()


@dataclass(frozen=True, slots=True)
class EnginePlace:
    """The files of one shared engine. Engines of another version or with other settings have another name."""

    name: str

    @classmethod
    def of(cls, settings: Settings, identity: EngineIdentity) -> Self:
        """The place of the engine that ``settings`` ask for."""
        relevant = (
            __version__,
            *astuple(identity),
            settings.device,
            settings.quantization,
            settings.attention,
            settings.compile,
            settings.speculation,
            settings.draft_model,
            settings.memory_mib,
        )
        return cls(hashlib.sha256(json.dumps(relevant).encode()).hexdigest()[:16])

    @classmethod
    def all(cls) -> list[Self]:
        """The places of all engines that have left a record here."""
        try:
            return [cls(path.stem) for path in sorted(home.run_folder().glob("*.json"))]
        except OSError:
            return []

    @property
    def socket(self) -> Path:
        """The Unix socket; in the temporary folder where the path would be too long for one."""
        path = home.run_folder().absolute() / f"{self.name}.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
        short = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir(), f"qsum-{_user_id()}", f"{short}.sock")

    @property
    def record_path(self) -> Path:
        """The file with the record; readable by this user alone."""
        return self._path("json")

    @property
    def log(self) -> Path:
        """What the process prints."""
        return home.logs_folder() / f"engine-{self.name}.log"

    def running_lock(self) -> FileLock:
        """Held by the engine process as long as it lives; the system releases it however the process ends."""
        return self._lock("lock")

    def starting_lock(self) -> FileLock:
        """Held by the client that starts the process, until the process can be reached."""
        return self._lock("starting")

    def prepare(self) -> None:
        """Make the folders, closed to other users. Raises EngineUnavailable where that is not so."""
        try:
            home.logs_folder().mkdir(parents=True, exist_ok=True)
            for folder in {home.run_folder(), self.socket.parent}:
                _make_private(folder)
        except OSError as error:
            raise EngineUnavailable(
                f"{error.filename}: the folder for the shared engine cannot be made: {error.strerror}. "
                "Set QSUM_HOME to a folder of yours, or `engine_sharing = false`."
            ) from error

    def read(self) -> EngineRecord | None:
        """The record of the process that started last, which may have ended; None where there is none."""
        try:
            return EngineRecord(**json.loads(self.record_path.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, record: EngineRecord) -> None:
        """Write the record in one step, readable by this user alone. Raises EngineUnavailable."""
        self._write("json", asdict(record))

    def remember(self, identity: EngineIdentity) -> None:
        """Keep what was loaded beyond the end of the process: where memory is short, it is a smaller engine.

        Where it cannot be written, the next client learns it from the engine.
        """
        with contextlib.suppress(EngineUnavailable):
            self._write("loaded", asdict(identity))

    def remembered(self) -> EngineIdentity | None:
        """What was loaded here last."""
        try:
            return EngineIdentity(**json.loads(self._path("loaded").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def remove(self) -> None:
        """Take socket and record away; only for the process that holds the running lock."""
        for path in (self.socket, self.record_path):
            path.unlink(missing_ok=True)

    def leave(self, record: EngineRecord) -> None:
        """Take the process of ``record`` out of sight, where no other has taken the place since.

        Another may have: the running lock holds it off no longer once this folder was removed.
        """
        if self.read() == record:
            self.remove()

    def write_failure(self, message: str) -> None:
        """Leave to the waiting clients why the engine did not start. Raises EngineUnavailable."""
        self._write("failed", {"at": time.time(), "message": message})

    def failure_since(self, began: float) -> str | None:
        """Why a start failed that ended after ``began`` (seconds since the epoch)."""
        try:
            failure = json.loads(self._path("failed").read_text("utf-8"))
            return str(failure["message"]) if failure["at"] >= began else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _path(self, suffix: str) -> Path:
        return home.run_folder() / f"{self.name}.{suffix}"

    def _lock(self, suffix: str) -> FileLock:
        return FileLock(self._path(suffix), mode=0o600, thread_local=False)

    def _write(self, suffix: str, value: object) -> None:
        try:
            home.write_at_once(self._path(suffix), json.dumps(value))
        except OSError as error:
            raise EngineUnavailable(
                f"{home.run_folder()}: the shared engine's files cannot be written: {error.strerror}. "
                "Make room there, or set QSUM_HOME to another folder."
            ) from error


def start_mark(pid: int) -> str:
    """On Linux the boot, and the process's start in clock ticks since then (proc_pid_stat(5)); else empty."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()  # a name may hold spaces
    except OSError:
        return ""
    return f"{boot} {int(fields[19])}"


def _user_id() -> str:
    return str(os.getuid()) if sys.platform != "win32" else os.environ.get("USERNAME", "user")


def _make_private(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        if sys.platform == "win32":
            return  # the folder lies in the user's profile, which others cannot read
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise EngineUnavailable(
                f"{folder}: this should be a folder of yours for the shared engine's socket, but is not. "
                "Remove it, or set QSUM_HOME to a folder of yours."
            ) from None
        folder.chmod(0o700)
