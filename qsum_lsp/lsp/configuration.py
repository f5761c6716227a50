"""Settings for documents: the editor's own, then the files; a wrong one is said once and left out."""

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from qsum_lsp.errors import QsumError, UsageError
from qsum_lsp.files import is_excluded
from qsum_lsp.lsp.uris import file_path
from qsum_lsp.settings import NAMES, FolderSettings, Settings, check_setting, load_settings

_log = logging.getLogger(__name__)

SECTION = "qsum"
_OTHER_NAMES = frozenset({"trace", "path", "interpreter", "importStrategy", "enable", "args"})
"""Keys under ``qsum`` that are the editor plugin's own."""

_KEPT_SECONDS = 1.0
_MOST_KEPT = 1000


class Configuration:
    """The editor's settings by workspace folder, and the settings of a document.

    ``say`` shows a message to the user; each text is said once until the settings change.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said: set[str] = set()
        self._initial: dict[str, Any] = {}
        self._by_folder: dict[str, dict[str, Any]] = {}
        self._folders: list[str] = []
        self.reads_files = True
        self._lately: dict[str, tuple[float, FolderSettings]] = {}

    def start(self, values: object, folders: list[str], *, reads_files: bool) -> None:
        """Take in what the client sends with its first request."""
        self._folders = folders
        self.reads_files = reads_files
        self._initial = self._checked(values)

    @property
    def folders(self) -> list[str]:
        """The URIs of the workspace folders."""
        return list(self._folders)

    def change_folders(self, added: list[str], removed: list[str]) -> None:
        """The workspace has other folders."""
        self._lately.clear()
        self._folders = [uri for uri in self._folders if uri not in removed] + added
        for uri in removed:
            self._by_folder.pop(uri, None)

    def change(self, values: object, folder: str = "") -> None:
        """The editor's settings for a folder, or for everything else."""
        self._lately.clear()
        self._by_folder[folder] = self._checked(values)

    def forget(self, folder: str) -> None:
        """The editor has no settings for a folder (any more): what goes for everything else goes for it too."""
        self._lately.clear()
        self._by_folder.pop(folder, None)

    def repeat_messages(self) -> None:
        """Settings may have changed: what is still wrong is said again."""
        self._said.clear()
        self._lately.clear()

    def settings_for(self, uri: str) -> Settings:
        """The settings of a document. Never raises: what is wrong is said, and the default is used."""
        return self._settings_for(uri).values

    def is_excluded(self, uri: str) -> bool:
        """Whether the settings leave a document out of what is done with whole folders."""
        settings, path = self._settings_for(uri), file_path(uri)
        return path is not None and is_excluded(path, settings)

    def _settings_for(self, uri: str) -> FolderSettings:
        """As ``settings_for``, with the folder that patterns are relative to.

        The files are looked at once a second at most: a hover asks three times, and each look is two dozen system calls.
        """
        now = time.monotonic()
        until, settings = self._lately.get(uri, (0.0, None))
        if settings is None or now > until:
            if len(self._lately) > _MOST_KEPT:
                self._lately.clear()
            settings = self._find_settings(uri)
            self._lately[uri] = now + _KEPT_SECONDS, settings
        return settings

    def _find_settings(self, uri: str) -> FolderSettings:
        folder = self._folder_of(uri)
        overrides = self._by_folder.get(folder, self._by_folder.get("", self._initial))
        path = file_path(uri)
        place = path.parent if path else file_path(folder)
        # patterns of the editor's own settings are relative to the folder that is open in it
        root = Path(os.path.realpath(file_path(folder) or place or Path()))
        found = FolderSettings(values=Settings(**overrides), include_root=root, exclude_root=root)
        if place is None or not self.reads_files:
            return found
        try:
            loaded = load_settings(place, overrides, on_wrong=self._leave_out)
        except QsumError as error:
            self._say_once(str(error))
            return found
        own = set(overrides) if loaded.files else {"include", "exclude"}
        return replace(
            loaded,
            include_root=root if "include" in own else loaded.include_root,
            exclude_root=root if "exclude" in own else loaded.exclude_root,
        )

    def _folder_of(self, uri: str) -> str:
        document = unquote(uri)
        holding = [
            folder for folder in self._folders if document.startswith(unquote(folder).rstrip("/") + "/")
        ]
        if holding:
            return max(holding, key=len)
        return self._folders[0] if self._folders and file_path(uri) is None else ""

    def _checked(self, values: object) -> dict[str, Any]:
        if values is None:
            return {}
        if not isinstance(values, Mapping):
            self._say_once(f"The editor's qsum settings must be a table of names and values, not {values!r}.")
            return {}
        checked = {}
        for name, value in values.items():
            if value is None or (name in _OTHER_NAMES and name not in NAMES):
                continue
            try:
                checked[name] = check_setting(str(name), value, where="editor settings (qsum)")
            except UsageError as error:
                self._leave_out(error)
        return checked

    def _leave_out(self, error: UsageError) -> None:
        self._say_once(f"{error} The default is used.")

    def _say_once(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            _log.warning("%s", message)
            self._say(message)
