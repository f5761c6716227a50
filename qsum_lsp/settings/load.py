"""Settings files: ``.qsum.toml`` and ``[tool.qsum]`` in ``pyproject.toml``, the nearest first."""

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from qsum_lsp.errors import FileError, UsageError
from qsum_lsp.settings.check import check_setting
from qsum_lsp.settings.values import Settings

SETTINGS_FILES = (".qsum.toml", "pyproject.toml")
"""Their names; of two in one folder the first wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderSettings:
    """The settings that hold in a folder.

    The patterns of ``include`` and ``exclude`` are relative to ``include_root`` and ``exclude_root``: each to the
    folder of the settings file that they stand in, and to the folder itself where they stand in none.
    """

    values: Settings
    include_root: Path
    exclude_root: Path
    files: tuple[Path, ...] = ()


def load_settings(
    folder: Path,
    overrides: Mapping[str, object] | None = None,
    *,
    on_wrong: Callable[[UsageError], None] | None = None,
) -> FolderSettings:
    """The settings for documents in ``folder``: ``overrides`` (already checked), then the files, then defaults.

    Raises UsageError for a file that is no TOML or has an unknown or unfit setting, FileError for one that
    cannot be read. ``on_wrong`` is given such a setting instead, and it is left out.
    """
    merged: dict[str, Any] = {}
    roots: dict[str, Path] = {}
    folder = Path(os.path.realpath(folder))  # unlike resolve, never fails for a name that the system refuses
    found = list(_settings_files(folder))
    for path, (where, values) in found:
        for name, value in values.items():
            try:
                checked = check_setting(name, value, where=where)
            except UsageError as error:
                if on_wrong is None:
                    raise
                on_wrong(error)
                continue
            merged.setdefault(name, checked)
            roots.setdefault(name, path.parent)
    merged.update(overrides or {})
    return FolderSettings(
        values=Settings(**merged),
        include_root=roots.get("include", folder),
        exclude_root=roots.get("exclude", folder),
        files=tuple(path for path, _ in found),
    )


def _settings_files(folder: Path) -> Iterator[tuple[Path, tuple[str, Mapping[str, Any]]]]:
    """The files, nearest first, each with how an error names the place and with its table."""
    for parent in (folder, *folder.parents):
        for path in (parent / name for name in SETTINGS_FILES):
            try:
                modified = path.stat().st_mtime_ns
            except OSError:
                continue
            values = _read(path, modified)
            if values is not None:
                yield path, values


@lru_cache(maxsize=64)
def _read(path: Path, modified: int) -> tuple[str, Mapping[str, Any]] | None:  # noqa: ARG001 — the time is part of the cache key
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        if path.name == "pyproject.toml":
            return None
        raise UsageError(f"{path}: is not valid TOML: {error}.") from error
    if path.name == "pyproject.toml":
        tools = table.get("tool", {})
        if not isinstance(tools, dict) or "qsum" not in tools:
            return None
        where = f"{path}: [tool.qsum]"
        if not isinstance(tools["qsum"], dict):
            raise UsageError(f"{where} must be a table.")
        return where, tools["qsum"]
    return str(path), table
