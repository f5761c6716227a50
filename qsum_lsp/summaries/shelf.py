"""The store that summaries are kept in, written to in batches."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol


class TextStore(Protocol):
    """A bounded store of texts by key, shared by processes. It never raises: a broken disk is an empty store."""

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """The values of those keys that are known."""
        ...

    def put_many(self, values: Mapping[str, str]) -> None:
        """Keep the values; the longest unused go when the store is full."""
        ...


class Shelf:
    """A store whose writes of one turn of the event loop go out together."""

    def __init__(self, store: TextStore) -> None:
        self._store = store
        self._unwritten: dict[str, str] = {}

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """The values of those keys that are known."""
        self.flush()
        return self._store.get_many(keys) if keys else {}

    def put(self, key: str, value: str) -> None:
        """Keep ``value``, at the latest when the event loop turns next."""
        if not self._unwritten:
            asyncio.get_running_loop().call_soon(self.flush)
        self._unwritten[key] = value

    def flush(self) -> None:
        """Write now."""
        if self._unwritten:
            values, self._unwritten = self._unwritten, {}
            self._store.put_many(values)
