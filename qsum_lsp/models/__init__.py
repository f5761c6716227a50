"""Model files: the catalogue, where they come from, and how they get here."""

from qsum_lsp.models.adapters import adapter_for, adapter_path
from qsum_lsp.models.download import PullProgress, pull
from qsum_lsp.models.entries import Adapter, HubSource, ModelEntry, RegistrySource, catalogue, find
from qsum_lsp.models.files import locate, model_hash, own_path

__all__ = [
    "Adapter",
    "HubSource",
    "ModelEntry",
    "PullProgress",
    "RegistrySource",
    "adapter_for",
    "adapter_path",
    "catalogue",
    "find",
    "locate",
    "model_hash",
    "own_path",
    "pull",
]
