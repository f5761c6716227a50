"""The cache of summaries on disk."""

from qsum_lsp.store.store import Store, StoreStats

__all__ = ["Store", "StoreStats"]
