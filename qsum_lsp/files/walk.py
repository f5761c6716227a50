"""The Markdown files below a folder, by include, exclude and .gitignore."""

import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from qsum_lsp.errors import FileError
from qsum_lsp.settings import SETTINGS_FILES, FolderSettings

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
                and _takes_file(resolved / name, settings[folder])
                and not _ignored(ignores, resolved / name, is_folder=False)
            ):
                yield path
    yield from problems


def is_excluded(path: Path, settings: FolderSettings) -> bool:
    """Whether a walk leaves the file ``path`` out by ``exclude``."""
    exclude = _spec(settings.values.exclude)
    target = PurePosixPath(_relative(Path(os.path.realpath(path.parent)) / path.name, settings.exclude_root))
    return exclude.match_file(target) or any(
        exclude.match_file(f"{folder}/") for folder in target.parents[:-1]
    )


@lru_cache(maxsize=64)
def _spec(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(patterns)


def _takes_folder(target: Path, settings: FolderSettings) -> bool:
    if target.name.startswith(".") or target.name in _NEVER:
        return False
    inside = _relative(target, settings.exclude_root)
    return not _spec(settings.values.exclude).match_file(f"{inside}/")


def _takes_file(target: Path, settings: FolderSettings) -> bool:
    include, exclude = _spec(settings.values.include), _spec(settings.values.exclude)
    return include.match_file(_relative(target, settings.include_root)) and not exclude.match_file(
        _relative(target, settings.exclude_root)
    )


def _relative(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix().lstrip("/")


def _inherited_ignores(top: Path) -> dict[Path, GitIgnoreSpec]:
    ignores: dict[Path, GitIgnoreSpec] = {}
    repository = next((folder for folder in (top, *top.parents) if (folder / ".git").exists()), None)
    if repository is not None:
        for folder in top.parents:
            if folder.is_relative_to(repository):
                _add_ignore(ignores, folder)
    return ignores


def _add_ignore(ignores: dict[Path, GitIgnoreSpec], folder: Path) -> None:
    try:
        lines = (folder / ".gitignore").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    ignores[folder] = GitIgnoreSpec.from_lines(lines)


def _ignored(ignores: dict[Path, GitIgnoreSpec], target: Path, *, is_folder: bool) -> bool:
    """The deepest ``.gitignore`` that says anything of ``target`` decides, as git has it."""
    for folder in target.parents:
        spec = ignores.get(folder)
        if spec is None:
            continue
        verdict = spec.check_file(_relative(target, folder) + ("/" if is_folder else "")).include
        if verdict is not None:
            return verdict
    return False
