"""Model files on this machine: where they are, and what they are by hash."""

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path

from qsum_lsp import home
from qsum_lsp.errors import FileError
from qsum_lsp.models.entries import HubSource, ModelEntry, find


def locate(name: str | Path) -> Path | None:
    """The model's file where it is on this machine already; None where it has to be pulled.

    Looks at names and sizes only, reads no file and asks no network. Raises UsageError for an unknown name.
    """
    model = find(name)
    if isinstance(model, Path):
        return model
    return next((path for path in candidates(model) if has_size(path, model.size)), None)


def own_path(entry: ModelEntry) -> Path:
    """Where a pulled model lies."""
    return home.models_folder() / entry.alias / entry.file


def candidates(entry: ModelEntry) -> list[Path]:
    """Where the model's file may be, best first: pulled by us, or in the hub's local cache."""
    paths = [own_path(entry)]
    for source in entry.sources:
        if isinstance(source, HubSource):
            snapshots = _hub_cache() / f"models--{source.repository.replace('/', '--')}" / "snapshots"
            with contextlib.suppress(OSError):
                paths += [folder / entry.file for folder in sorted(snapshots.iterdir())]
    return paths


def model_hash(path: Path) -> str:
    """The SHA-256 of a model file, in lower-case hex digits.

    A file is read once: the hash is kept beside the models and holds as long as path, size and time of change
    stay the same. A pulled model is known from its verification. Raises FileError.
    """
    try:
        if (known := remembered_hash(path)) is not None:
            return known
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileError(f"The model file {path} cannot be read: {error.strerror or error}.") from error
    remember_hash(path, digest)
    return digest


def remembered_hash(path: Path) -> str | None:
    """The hash of a file that was read before and has not changed since. Raises OSError."""
    status = path.stat()
    kept = _kept_hashes().get(str(path.resolve()))
    if isinstance(kept, list) and kept[:2] == [status.st_size, status.st_mtime_ns]:
        return str(kept[2])
    return None


def remember_hash(path: Path, digest: str) -> None:
    """Keep a hash that was just computed; where it cannot be kept it is computed again next time."""
    with contextlib.suppress(OSError):
        status = path.stat()
        kept = {name: value for name, value in _kept_hashes().items() if os.path.exists(name)}
        kept[str(path.resolve())] = [status.st_size, status.st_mtime_ns, digest]
        target = _hashes_path()
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=target.parent, suffix=".tmp", delete=False) as file:
            json.dump(kept, file, indent=1)
        Path(file.name).replace(target)


def _hashes_path() -> Path:
    return home.models_folder() / "hashes.json"


def _kept_hashes() -> dict[str, object]:
    try:
        kept = json.loads(_hashes_path().read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def has_size(path: Path, size: int) -> bool:
    """Whether there is such a file of that size."""
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _hub_cache() -> Path:
    """The hub client's cache folder, by the variables and defaults that it documents."""
    environment = os.environ
    if cache := environment.get("HF_HUB_CACHE") or environment.get("HUGGINGFACE_HUB_CACHE"):
        return Path(cache).expanduser()
    if hub_home := environment.get("HF_HOME"):
        return Path(hub_home).expanduser() / "hub"
    base = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).expanduser() / "huggingface" / "hub"
