"""The cache of summaries on disk."""

from qsum_lsp.store.nothing import NoStore
from qsum_lsp.store.store import Store, StoreStats

__all__ = ["NoStore", "Store", "StoreStats"]
