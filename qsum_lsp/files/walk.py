"""The Markdown files below a folder, by include, exclude and .gitignore."""

import os
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from qsum_lsp.errors import FileError
from qsum_lsp.settings import SETTINGS_FILES, FolderSettings, Settings
from qsum_lsp.settings.patterns import compile_patterns, is_pattern

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

PAGE_SUFFIXES = tuple(pattern.removeprefix("*").lower() for pattern in Settings().include)
"""How the names of Markdown files end, in lower case, where no setting says otherwise."""

_NEVER = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})


def walk_folder(top: Path, settings_in: Callable[[Path], FolderSettings]) -> Iterator[Path | FileError]:
    """The files that ``discover`` describes, below the folder ``top``, and the errors met on the way."""
    problems: list[FileError] = []
    settings: dict[Path, FolderSettings] = {}

    def note(error: OSError) -> None:
        problems.append(FileError(f"{error.filename}: cannot be read: {error.strerror}."))

    ignores = _inherited_ignores(top.resolve())
    for folder_name, folder_names, file_names in os.walk(top, onerror=note):
        folder = Path(folder_name)
        resolved = folder.resolve()
        if folder == top or any(name in file_names for name in SETTINGS_FILES):
            settings[folder] = settings_in(folder)
        else:
            settings[folder] = settings[folder.parent]
        _add_ignore(ignores, resolved)
        folder_names[:] = sorted(
            name
            for name in folder_names
            if _takes_folder(resolved / name, settings[folder])
            and not _ignored(ignores, resolved / name, is_folder=True)
        )
        for name in sorted(file_names):
            path = folder / name
            if (
                not path.is_symlink()
                and _is_included(resolved / name, settings[folder])
                and not _is_excluded(resolved / name, settings[folder])
                and not _ignored(ignores, resolved / name, is_folder=False)
            ):
                yield path
    yield from problems


def is_walked(path: Path, top: Path, settings_in: Callable[[Path], FolderSettings]) -> bool:
    """Whether a walk of the folder ``top`` comes by ``path``, a page that git does not ignore.

    Of a path that is not below ``top`` only the last folder counts.
    """
    target, real_top = Path(os.path.realpath(path.parent)) / path.name, Path(os.path.realpath(top))
    folders = [folder for folder in target.parents if folder.is_relative_to(real_top) and folder != real_top]
    settings = settings_in(target.parent)
    # By which names pages are known is for whoever names this one to say, where no setting says it.
    is_page = settings.values.include == Settings().include or _is_included(target, settings)
    return (
        is_page
        and not os.path.islink(path)
        and not _is_excluded(target, settings)
        and all(_takes_folder(folder, settings_in(folder.parent)) for folder in folders)
    )


def is_excluded(path: Path, settings: FolderSettings) -> bool:
    """Whether ``exclude`` leaves out the file ``path``, or a folder that it is in."""
    target, root = Path(os.path.realpath(path.parent)) / path.name, settings.exclude_root
    folders = [folder for folder in target.parents if folder.is_relative_to(root) and folder != root]
    return _is_excluded(target, settings) or any(
        _is_excluded(folder, settings, mark="/") for folder in folders
    )


def _takes_folder(target: Path, settings: FolderSettings) -> bool:
    return not (
        target.name.startswith(".") or target.name in _NEVER or _is_excluded(target, settings, mark="/")
    )


def _is_included(target: Path, settings: FolderSettings) -> bool:
    patterns = settings.values.include
    has_suffix = target.name.lower().endswith(PAGE_SUFFIXES)
    if patterns == Settings().include:
        return has_suffix
    # A pattern like ``docs/`` or ``docs/**`` stands for pages, not for the scripts and pictures beside them.
    return compile_patterns(patterns).match_file(_relative(target, settings.include_root)) and (
        has_suffix or any(_names_file(pattern, target.name) for pattern in patterns)
    )


def _names_file(pattern: str, name: str) -> bool:
    last = pattern.rpartition("/")[2]
    return bool(last.strip("*")) and fnmatch(name, last)


def _is_excluded(target: Path, settings: FolderSettings, *, mark: str = "") -> bool:
    """``mark`` is what a folder's name ends with."""
    patterns = settings.values.exclude
    return bool(patterns) and compile_patterns(patterns).match_file(
        _relative(target, settings.exclude_root) + mark
    )


def _relative(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix().lstrip("/")


def _inherited_ignores(top: Path) -> "dict[Path, GitIgnoreSpec]":
    ignores: dict[Path, GitIgnoreSpec] = {}
    repository = next((folder for folder in (top, *top.parents) if (folder / ".git").exists()), None)
    if repository is not None:
        for folder in top.parents:
            if folder.is_relative_to(repository):
                _add_ignore(ignores, folder)
    return ignores


def _add_ignore(ignores: "dict[Path, GitIgnoreSpec]", folder: Path) -> None:
    try:
        lines = (folder / ".gitignore").read_text(encoding="utf-8-sig", errors="replace").splitlines()
    except OSError:
        return
    try:
        ignores[folder] = compile_patterns(tuple(lines))
    except ValueError:  # git passes over such a line
        ignores[folder] = compile_patterns(tuple(line for line in lines if is_pattern(line)))


def _ignored(ignores: "dict[Path, GitIgnoreSpec]", target: Path, *, is_folder: bool) -> bool:
    """The deepest ``.gitignore`` that says anything of ``target`` decides, as git has it."""
    for folder in target.parents:
        spec = ignores.get(folder)
        if spec is None:
            continue
        verdict = spec.check_file(_relative(target, folder) + ("/" if is_folder else "")).include
        if verdict is not None:
            return verdict
    return False
