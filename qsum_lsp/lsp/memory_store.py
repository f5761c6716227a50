"""The store as the server uses it: what it knew lately is in memory, whatever the disk does."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock

from qsum_lsp.summaries import TextStore

_MOST_ENTRIES = 50_000


class MemoryStore:
    """A bounded memory before a store.

    Two threads use it: the engine's writes and reads through ``writer``, the protocol's reads through ``reader``, a
    store of its own over the same file, so that it never waits for a write. ``hits`` and ``misses`` count keys.
    """

    def __init__(self, reader: TextStore, writer: TextStore) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = Lock()
        self._known: OrderedDict[str, str] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """The values of those keys that are known."""
        with self._lock:
            found = {key: self._known[key] for key in keys if key in self._known}
            for key in found:
                self._known.move_to_end(key)
        missing = [key for key in keys if key not in found]
        if missing:
            stored = self._reader.get_many(missing)
            self._keep(stored)
            found |= stored
        self.hits += len(found)
        self.misses += len(keys) - len(found)
        return found

    def put_many(self, values: Mapping[str, str]) -> None:
        """Keep the values."""
        self._keep(values)
        self._writer.put_many(values)

    def forget(self) -> None:
        """Empty the memory."""
        with self._lock:
            self._known.clear()

    def _keep(self, values: Mapping[str, str]) -> None:
        with self._lock:
            self._known.update(values)
            while len(self._known) > _MOST_ENTRIES:
                self._known.popitem(last=False)
