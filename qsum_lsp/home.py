"""Where qsum keeps what it keeps: one folder, moved by ``QSUM_HOME``."""

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """The folder of everything the program keeps; not created here."""
    configured = os.environ.get("QSUM_HOME")
    return Path(configured).expanduser() if configured else platformdirs.user_cache_path("qsum")


def store_path() -> Path:
    """The SQLite file of cached summaries."""
    return home() / "store" / "summaries.sqlite3"


def server_path(fingerprint: str) -> Path:
    """What a model server has said of itself; beside the summaries, so that who keeps these keeps it too."""
    return store_path().with_name(f"server-{fingerprint}.json")


def models_folder() -> Path:
    """Model files, one folder an alias."""
    return home() / "models"


def run_folder() -> Path:
    """Sockets, locks and tokens of running processes."""
    return home() / "run"


def logs_folder() -> Path:
    """Log files."""
    return home() / "logs"


def compiled_folder() -> Path:
    """Compile caches of the torch engine and converted weights."""
    return home() / "compiled"


def write_at_once(path: Path, text: str) -> None:
    """Put ``text`` in place of what ``path`` holds, in one step, readable by this user alone.

    Nothing is left behind where that fails. Raises OSError.
    """
    import tempfile  # many commands write nothing here

    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".tmp")  # 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def offline() -> bool:
    """True where ``QSUM_OFFLINE`` forbids every download."""
    return os.environ.get("QSUM_OFFLINE", "") not in ("", "0")
