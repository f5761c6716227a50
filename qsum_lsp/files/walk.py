"""The Markdown files below a folder, by include, exclude and .gitignore."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from qsum_lsp.errors import FileError
from qsum_lsp.settings import FolderSettings

_NEVER = frozenset({"node_modules", "__pycache__", "venv", "site-packages"})


def walk_folder(top: Path, settings: FolderSettings) -> Iterator[Path | FileError]:
    """The files that ``discover`` describes, below the folder ``top``, and the errors met on the way."""
    include = GitIgnoreSpec.from_lines(settings.values.include)
    exclude = GitIgnoreSpec.from_lines(settings.values.exclude)
    problems: list[FileError] = []

    def note(error: OSError) -> None:
        problems.append(FileError(f"{error.filename}: cannot be read: {error.strerror}."))

    ignores = _inherited_ignores(top.resolve())
    for folder_name, folder_names, file_names in os.walk(top, onerror=note):
        folder = Path(folder_name)
        resolved = folder.resolve()
        _add_ignore(ignores, resolved)

        def left_out(name: str, *, is_folder: bool, resolved: Path = resolved) -> bool:
            target = resolved / name
            inside = _relative(target, settings.root) + ("/" if is_folder else "")
            return exclude.match_file(inside) or _ignored(ignores, target, is_folder=is_folder)

        folder_names[:] = sorted(
            name
            for name in folder_names
            if not name.startswith(".") and name not in _NEVER and not left_out(name, is_folder=True)
        )
        for name in sorted(file_names):
            path = folder / name
            if path.is_symlink() or not include.match_file(_relative(resolved / name, settings.root)):
                continue
            if not left_out(name, is_folder=False):
                yield path
    yield from problems


def is_excluded(path: Path, settings: FolderSettings) -> bool:
    """Whether a walk from the settings' root leaves the file ``path`` out by ``exclude``."""
    exclude = GitIgnoreSpec.from_lines(settings.values.exclude)
    target = PurePosixPath(_relative(Path(os.path.realpath(path.parent)) / path.name, settings.root))
    return exclude.match_file(target) or any(
        exclude.match_file(f"{folder}/") for folder in target.parents[:-1]
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
