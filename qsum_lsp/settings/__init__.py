"""Settings: their values and where they come from."""

from qsum_lsp.settings.check import NAMES, check_setting, check_settings
from qsum_lsp.settings.load import FolderSettings, load_settings
from qsum_lsp.settings.values import Settings

__all__ = ["NAMES", "FolderSettings", "Settings", "check_setting", "check_settings", "load_settings"]
