"""Model files on this machine: where they are, and what they are by hash."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from qsum_lsp import home
from qsum_lsp.errors import FileError
from qsum_lsp.models.entries import HubSource, ModelEntry, find

_hashes_of_this_process: dict[str, object] = {}


def locate(name: str | Path) -> Path | None:
    """The model's verified file, or the path itself where ``name`` is one; None where it has to be pulled.

    Looks at names, sizes, times and the hashes kept from earlier; reads no model file and asks no network. A file
    that lies here without having been verified is not found: ``pull`` verifies it and downloads nothing.
    Raises UsageError for an unknown name.
    """
    model = find(name)
    if isinstance(model, Path):
        return model
    return next((path for path in candidates(model) if is_verified(path, model)), None)


def is_verified(path: Path, model: ModelEntry) -> bool:
    """Whether the file is known to be the model: right in size, and in hash when it was last read."""
    try:
        return has_size(path, model.size) and remembered_hash(path) == model.sha256
    except OSError:
        return False


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
    """Keep a hash that was just computed: for this process, and on the disk where that can be written."""
    with contextlib.suppress(OSError):
        status = path.stat()
        _hashes_of_this_process[str(path.resolve())] = [status.st_size, status.st_mtime_ns, digest]
        kept = {name: value for name, value in _kept_hashes().items() if os.path.exists(name)}
        target = _hashes_path()
        target.parent.mkdir(parents=True, exist_ok=True)
        home.write_at_once(target, json.dumps(kept, indent=1))


def _hashes_path() -> Path:
    return home.models_folder() / "hashes.json"


def _kept_hashes() -> dict[str, object]:
    """Size, time of change and hash by path."""
    try:
        kept = json.loads(_hashes_path().read_text("utf-8"))
    except (OSError, ValueError):
        kept = None
    return (kept if isinstance(kept, dict) else {}) | _hashes_of_this_process


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
