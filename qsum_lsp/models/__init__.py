"""Model files: the catalogue, where they come from, and how they get here."""

from qsum_lsp.models.download import PullProgress, pull
from qsum_lsp.models.entries import HubSource, ModelEntry, RegistrySource, catalogue, find
from qsum_lsp.models.files import locate, model_hash, own_path

__all__ = [
    "HubSource",
    "ModelEntry",
    "PullProgress",
    "RegistrySource",
    "catalogue",
    "find",
    "locate",
    "model_hash",
    "own_path",
    "pull",
]
