"""The adapters that are installed with qsum: which model has one, and that its file is whole."""

import hashlib
from importlib import resources
from pathlib import Path

from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.models.entries import Adapter, ModelEntry, catalogue
from qsum_lsp.models.files import has_size, model_hash


def adapter_for(model: ModelEntry | Path) -> Adapter | None:
    """The adapter that belongs to a model of the catalogue, or to a file that is one of them byte for byte.

    Raises FileError where a file that has a catalogue model's size cannot be read.
    """
    if isinstance(model, ModelEntry):
        return model.adapter
    for entry in catalogue():
        if entry.adapter is not None and has_size(model, entry.size) and model_hash(model) == entry.sha256:
            return entry.adapter
    return None


def adapter_path(adapter: Adapter) -> Path:
    """The adapter's file, checked against its hash. Raises EngineUnavailable where it is missing or damaged."""
    path = Path(str(resources.files("qsum_lsp.models").joinpath("adapter_files", adapter.file)))
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EngineUnavailable(
            f"{path}: the model's adapter cannot be read ({error.strerror or error}). Reinstall qsum-lsp."
        ) from error
    if digest != adapter.sha256:
        raise EngineUnavailable(
            f"{path}: the model's adapter is damaged (its SHA-256 is not the one in the catalogue)."
            " Reinstall qsum-lsp."
        )
    return path
