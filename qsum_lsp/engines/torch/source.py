"""Where a model's files are, and what they are called; GGUF files are converted once."""

import hashlib
import json
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from qsum_lsp import home, models
from qsum_lsp.errors import EngineUnavailable

if TYPE_CHECKING:
    from qsum_lsp.engines.torch.adapter import AdapterWeights

CONVERTED = "qsum-converted-2"
"""Part of a converted folder's name: changes with the conversion."""

HUB_FILES = ["*.safetensors", "*.json", "*.jinja"]


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model as it was named: ``path`` is its folder or GGUF file, None for a hub id that is not here yet.

    ``adapter`` belongs to the GGUF file and is applied to its weights.
    """

    name: str
    path: Path | None
    adapter: models.Adapter | None = None

    @classmethod
    def find(cls, name: str) -> "ModelSource":
        """Look ``name`` up: a path, an alias of the catalogue, or a hub id. Downloads nothing."""
        given = Path(name).expanduser()
        if given.is_dir() or given.suffix == ".gguf":
            if not given.exists():
                raise EngineUnavailable(f"There is no model file {given}.")
            if given.is_dir():
                return cls(given.name, given)
            return cls(given.stem, given, models.adapter_for(given))
        known = next((entry for entry in models.catalogue() if entry.alias == name), None)
        if known is not None:
            located = models.locate(name)
            if located is None:
                raise EngineUnavailable(f"The model {name!r} is not here. Run: qsum models pull {name}")
            return cls(name, located, known.adapter)
        if "/" not in name:
            raise EngineUnavailable(f"There is no model {name!r}; `qsum models list` shows the known ones.")
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            return cls(name, Path(snapshot_download(name, allow_patterns=HUB_FILES, local_files_only=True)))
        except LocalEntryNotFoundError:
            return cls(name, None)

    def fetch(self) -> Path:
        """The folder of safetensors: downloads from the hub or converts a GGUF file where that is needed."""
        if self.path is None:
            if home.offline():
                raise EngineUnavailable(f"{self.name} is not here, and QSUM_OFFLINE forbids downloading it.")
            from huggingface_hub import snapshot_download

            try:
                return Path(snapshot_download(self.name, allow_patterns=HUB_FILES))
            except Exception as error:
                raise EngineUnavailable(f"{self.name} could not be downloaded: {error}") from error
        if self.path.suffix == ".gguf":
            return convert_gguf(self.path)
        return self.path

    def adapter_weights(self) -> "AdapterWeights | None":
        """What the adapter adds to the weights. Raises EngineUnavailable where its file is not whole."""
        if self.adapter is None:
            return None
        from qsum_lsp.engines.torch.adapter import AdapterWeights

        return AdapterWeights(models.adapter_path(self.adapter))

    @property
    def config_path(self) -> Path | None:
        """``config.json`` where there is one already."""
        if self.path is None:
            return None
        folder = _converted_folder(self.path) if self.path.suffix == ".gguf" else self.path
        config = folder / "config.json"
        return config if config.exists() else None

    def context_tokens(self) -> int | None:
        """The context that the model was made for, where that can be known without downloading."""
        config = self.config_path
        if config is not None:
            value: int | None = json.loads(config.read_text(encoding="utf-8")).get("max_position_embeddings")
            return value
        if self.path is not None and self.path.suffix == ".gguf":
            with self.path.open("rb") as file:
                head = file.read(1 << 16)
            place = head.find(b".context_length")
            if place > 0:
                kind, number = struct.unpack_from("<II", head, place + len(b".context_length"))
                return int(number) if kind == 4 else None
        return None

    def digest(self) -> str:
        """A hash of the weights: names, sizes, the first and last MiB of each file, and the adapter."""
        digest = hashlib.sha256(self.name.encode())
        if self.adapter is not None:
            digest.update(self.adapter.sha256.encode())
        if self.path is None:
            return digest.hexdigest()[:16]
        files = [self.path] if self.path.is_file() else sorted(self.path.glob("*.safetensors"))
        for path in files:
            _add(digest, path)
        return digest.hexdigest()[:16]


def _add(digest: "hashlib._Hash", path: Path) -> None:
    size = path.stat().st_size
    digest.update(f"{path.name}:{size}".encode())
    with path.open("rb") as file:
        digest.update(file.read(1 << 20))
        file.seek(max(0, size - (1 << 20)))
        digest.update(file.read())


def _converted_folder(gguf: Path) -> Path:
    digest = hashlib.sha256()  # files of one name and size can be different trainings of one model
    _add(digest, gguf)
    return home.compiled_folder() / f"{gguf.stem}-{digest.hexdigest()[:16]}-{CONVERTED}"


def convert_gguf(gguf: Path) -> Path:
    """A folder with the dequantised weights as bfloat16 safetensors, the tokenizer and the chat template."""
    folder = _converted_folder(gguf)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if (folder / "config.json").exists():
            return folder
        from qsum_lsp.engines.torch.gguf_file import convert

        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            convert(gguf, partial)
        except (OSError, ValueError, KeyError) as error:
            raise EngineUnavailable(f"{gguf} could not be converted: {error}") from error
        partial.rename(folder)
    return folder
