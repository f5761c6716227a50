"""Texts by key in one SQLite file that many processes and threads share."""

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from qsum_lsp.errors import FileError
from qsum_lsp.store import schema

_log = logging.getLogger(__name__)

DEFAULT_MAX_BYTES = 256 * 1024 * 1024

_BUSY_SECONDS = 5.0
_RETRY_SECONDS = 30.0  # after a failure the disk is left alone for this long
_RECENCY_SECONDS = 3600  # a use is noted only where the last one is older than this
_KEPT_SHARE = 0.9  # a full store is emptied down to this share, so that not every write evicts
_KEYS_A_QUERY = 500
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR}

_T = TypeVar("_T")


class _NewerSchema(Exception):
    """The file was made by a later version of the program."""


class _WrongContent(Exception):
    """The file holds what was never written, which SQLite itself does not notice."""


@dataclass(frozen=True, slots=True)
class StoreStats:
    """How full the store is. ``bytes`` is what its files take on the disk."""

    entries: int
    bytes: int
    path: Path


class Store:
    """A cache of texts, bounded in size; the longest unused go first.

    Nothing is opened before the first use. Reading and writing never raise: where the disk is read-only, full
    or locked, nothing is found and nothing kept, one warning is logged, and the next try follows half a minute
    later. A damaged file is renamed to ``NAME-damaged-TIME`` and a new one begun.

    Any number of threads may share a Store, and any number of processes the file; a Store is not to be carried
    across a fork. ``max_bytes`` bounds the entries with their keys and index entries; the write-ahead log adds a
    few megabytes. ``clock`` gives seconds since the epoch.
    """

    def __init__(
        self, path: Path, *, max_bytes: int = DEFAULT_MAX_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._file_id: tuple[int, int] | None = None
        self._rest_until = 0.0
        self._writes_rest_until = 0.0
        self._warned = False

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """The values of those keys that are known."""
        if not keys:
            return {}
        with self._lock:
            return self._guarded(lambda connection: self._read(connection, keys), {}, writes=False)

    def put_many(self, values: Mapping[str, str]) -> None:
        """Keep the values; the longest unused go when the store is full."""
        if not values:
            return
        with self._lock:
            if time.monotonic() >= self._writes_rest_until:
                self._guarded(lambda connection: self._write(connection, values), None, writes=True)

    def clear(self) -> None:
        """Forget everything and give the disk space back. Raises FileError."""
        with self._lock:
            self._rest_until = self._writes_rest_until = 0.0
            if not os.path.exists(self.path):
                return
            if not self._guarded(_empty, False, writes=True):
                raise FileError(
                    f"The cache could not be cleared: {self.path} is locked by another process or cannot be"
                    " written. Close what uses it, or delete the file."
                )
            for damaged in self._damaged_files():
                with suppress(OSError):
                    damaged.unlink()

    def stats(self) -> StoreStats:
        """How much is stored; zeros where nothing is."""
        with self._lock:
            size = 0
            for file in self._files():
                with suppress(OSError):
                    size += file.stat().st_size
            entries = self._guarded(_count, 0, writes=False) if size else 0
            return StoreStats(entries=entries, bytes=size, path=self.path)

    def close(self) -> None:
        """Close the file. A later use opens it again."""
        with self._lock:
            self._disconnect()

    def _read(self, connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, str]:
        now = int(self._clock())
        found: dict[str, str] = {}
        long_unused: list[int] = []
        for start in range(0, len(keys), _KEYS_A_QUERY):
            some = [_encode(key) for key in keys[start : start + _KEYS_A_QUERY]]
            marks = ",".join("?" * len(some))
            query = f"SELECT id, key, value, used FROM texts WHERE key IN ({marks})"  # noqa: S608 - marks only
            for row_id, key, value, used in connection.execute(query, some):
                if not (isinstance(key, bytes) and isinstance(value, bytes) and isinstance(used, int)):
                    continue  # damage of one row, which the next writing of its key mends
                with suppress(UnicodeDecodeError):
                    found[_decode(key)] = _decode(value)
                    if abs(now - used) > _RECENCY_SECONDS:
                        long_unused.append(row_id)
        if long_unused and time.monotonic() >= self._writes_rest_until:
            self._note_use(connection, long_unused, now)
        return found

    def _note_use(self, connection: sqlite3.Connection, rows: Sequence[int], now: int) -> None:
        """Best effort: a reader never waits for a writer and does not need a writable disk."""
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                with _transaction(connection):
                    connection.executemany(
                        "UPDATE texts SET used = ? WHERE id = ?", [(now, row) for row in rows]
                    )
            finally:
                connection.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")

    def _write(self, connection: sqlite3.Connection, values: Mapping[str, str]) -> None:
        now = int(self._clock())
        rows = [(_encode(key), _encode(value), now) for key, value in values.items()]
        with _transaction(connection):
            connection.executemany(
                "INSERT INTO texts (key, value, used) VALUES (?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value, used = excluded.used",
                [row for row in rows if len(row[0]) + len(row[1]) <= self.max_bytes // 4],
            )
            self._evict(connection)

    def _evict(self, connection: sqlite3.Connection) -> None:
        (total,) = connection.execute("SELECT max(bytes) FROM total").fetchone()
        if not isinstance(total, int):
            raise _WrongContent("it does not know its size")
        if total <= self.max_bytes:
            return
        leaving: list[tuple[int]] = []
        for row_id, cost in connection.execute(schema.OLDEST_FIRST):
            if total <= self.max_bytes * _KEPT_SHARE:
                break
            leaving.append((row_id,))
            total -= cost or 0  # no cost is known of a damaged row
        connection.executemany("DELETE FROM texts WHERE id = ?", leaving)

    def _guarded(self, action: Callable[[sqlite3.Connection], _T], otherwise: _T, *, writes: bool) -> _T:
        """The outcome of ``action``, or ``otherwise`` where the store cannot be used; a damaged file is replaced."""
        if time.monotonic() < self._rest_until:
            return otherwise
        for attempt in range(2):
            try:
                return action(self._connect())
            except (sqlite3.DatabaseError, UnicodeDecodeError, _WrongContent) as error:
                # Names in a damaged schema may not even be text, of which sqlite3 makes a UnicodeDecodeError.
                damaged = not isinstance(error, sqlite3.DatabaseError) or _code(error) in _DAMAGE
                try:
                    if attempt == 0 and damaged and self._set_aside(error):
                        continue
                except (OSError, TimeoutError) as failure:
                    self._give_up(failure, writes=False)
                    return otherwise
                self._give_up(error, writes=writes and not damaged and self._connection is not None)
            except (OSError, TimeoutError, _NewerSchema) as error:
                self._give_up(error, writes=False)
            return otherwise
        return otherwise

    def _give_up(self, error: Exception, *, writes: bool) -> None:
        """Leave the disk alone for a while: only with writes where reading may still work."""
        if writes:
            self._writes_rest_until = time.monotonic() + _RETRY_SECONDS
        else:
            self._rest_until = time.monotonic() + _RETRY_SECONDS
            self._disconnect()
        if not self._warned:
            self._warned = True
            _log.warning("Summaries are not cached: %s cannot be used (%s).", self.path, error)

    def _connect(self) -> sqlite3.Connection:
        file_id = self._current_file_id()
        if self._connection is not None and file_id == self._file_id:
            return self._connection
        self._disconnect()  # another process set the file aside, or somebody deleted it
        if file_id is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.text_factory = bytes  # only a damaged row has text, which may not even be UTF-8
        # Taken before the first read: should the file be replaced in between, the next use connects again.
        self._file_id = self._current_file_id()
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        newest = len(schema.MIGRATIONS)
        if schema.version(connection) < newest:
            with self._file_lock():
                connection.execute("PRAGMA journal_mode = WAL")
                schema.migrate(connection)
        if schema.version(connection) > newest:
            raise _NewerSchema("it was written by a newer version of qsum")
        # Without a sync on each commit a power cut may lose the last summaries, never the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 4194304")

    def _disconnect(self) -> None:
        connection, self._connection, self._file_id = self._connection, None, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _set_aside(self, error: Exception) -> bool:
        """Rename the damaged file, unless another process did so already. False where it was not damaged."""
        broken = self._file_id
        self._disconnect()
        with self._file_lock():
            if self._current_file_id() != broken:
                return True
            name = f"{self.path.name}-damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime(self._clock()))}"
            older = self._damaged_files()
            # The log goes first: it must never be replayed into the new file.
            for suffix in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    self.path.with_name(self.path.name + suffix).unlink()
            self.path.replace(self.path.with_name(name))
            for file in older:
                with suppress(OSError):
                    file.unlink()
        _log.warning("The summary cache %s was damaged (%s); it is now %s.", self.path, error, name)
        return True

    @contextmanager
    def _file_lock(self) -> Iterator[None]:
        """Held while the file is made, migrated or set aside. Raises TimeoutError."""
        from filelock import FileLock

        with FileLock(self.path.with_name(self.path.name + ".lock"), timeout=_BUSY_SECONDS):
            yield

    def _current_file_id(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _files(self) -> list[Path]:
        return [self.path.with_name(self.path.name + suffix) for suffix in ("", "-wal", "-shm")]

    def _damaged_files(self) -> list[Path]:
        return list(self.path.parent.glob(f"{self.path.name}-damaged-*"))


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:  # an interrupt must not leave the file locked
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def _empty(connection: sqlite3.Connection) -> bool:
    with _transaction(connection):
        connection.execute("DELETE FROM texts")
    connection.execute("VACUUM")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return True


def _count(connection: sqlite3.Connection) -> int:
    (entries,) = connection.execute("SELECT count(*) FROM texts").fetchone()
    return int(entries)


def _code(error: sqlite3.DatabaseError) -> int | None:
    """The primary result code of SQLite; None where Python itself raised the error."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def _encode(text: str) -> bytes:
    # Editors may send lone surrogates; they come back as they went in.
    return text.encode("utf-8", "surrogatepass")


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
