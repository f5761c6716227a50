"""The program's own log: a file under ``QSUM_HOME``, never the terminal."""

import contextlib
import logging
from logging.handlers import RotatingFileHandler
from pathlib import Path

from qsum_lsp.home import logs_folder

_MAX_BYTES = 1_000_000


def log_file(name: str = "qsum") -> Path:
    """Where the log of the part ``name`` goes."""
    return logs_folder() / f"{name}.log"


class _FileHandler(RotatingFileHandler):
    """Opens its file at the first record, and makes the folder then; a folder that cannot be made drops records."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 — the name is logging's
        """A log that cannot be written must not disturb the program."""


def log_to_file(name: str = "qsum") -> None:
    """Send this process's log records to the file of the part ``name``, and nowhere else."""
    handler = _FileHandler(
        log_file(name), maxBytes=_MAX_BYTES, backupCount=2, delay=True, encoding="utf-8", errors="replace"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for talkative in ("httpx", "uvicorn"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
