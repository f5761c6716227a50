"""Settings: their values and where they come from."""

from qsum_lsp.settings.check import NAMES, check_setting, check_settings
from qsum_lsp.settings.load import SETTINGS_FILES, FolderSettings, load_settings
from qsum_lsp.settings.values import Settings

__all__ = [
    "NAMES",
    "SETTINGS_FILES",
    "FolderSettings",
    "Settings",
    "check_setting",
    "check_settings",
    "load_settings",
]
