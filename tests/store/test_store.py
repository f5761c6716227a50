"""The store in one process: what it keeps, what it lets go, and what it costs."""

import sqlite3
import threading
from pathlib import Path

import pytest

from qsum_lsp.errors import FileError
from qsum_lsp.store import Store


class Clock:
    """Seconds that pass by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def writes(path: Path) -> int:
    """A number that changes with every commit that changed a row."""
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("SELECT coalesce(sum(used), 0) FROM texts").fetchone()[0])
    finally:
        connection.close()


def test_values_come_back_in_another_process_life(path: Path) -> None:
    values = {
        "a": "Plain.",
        "b": "",
        "c": "日本語 🙂 \x00 end",
        "d": "lone \ud800 surrogate",
        "key \udfff": "x",
    }
    store = Store(path)
    store.put_many(values)
    store.close()
    assert Store(path).get_many([*values, "unknown"]) == values


def test_a_later_value_replaces_the_earlier(path: Path) -> None:
    store = Store(path)
    store.put_many({"a": "one", "b": "two"})
    store.put_many({"a": "three"})
    assert store.get_many(["a", "b"]) == {"a": "three", "b": "two"}
    assert store.stats().entries == 2


def test_more_keys_than_one_query_may_have(path: Path) -> None:
    store = Store(path)
    values = {f"key{number}": f"value {number}" for number in range(70_000)}
    store.put_many(values)
    assert store.get_many(list(values)) == values


def test_nothing_is_opened_before_the_first_use(path: Path) -> None:
    store = Store(path)
    assert store.stats().entries == 0
    assert store.get_many([]) == {}
    store.put_many({})
    store.clear()
    store.close()
    assert not path.parent.exists()


def test_clear_forgets_and_gives_the_space_back(path: Path) -> None:
    store = Store(path)
    store.put_many({f"key{number}": "x" * 500 for number in range(4000)})
    before = store.stats()
    assert before.entries == 4000
    assert before.path == path
    path.with_name(path.name + "-damaged-20260101T000000").write_bytes(b"old")
    store.clear()
    after = store.stats()
    assert after.entries == 0
    assert before.bytes > 2_000_000
    assert after.bytes < 100_000
    assert not list(path.parent.glob("*-damaged-*"))
    store.put_many({"a": "again"})
    assert store.get_many(["a"]) == {"a": "again"}


def test_the_size_stays_in_bounds_and_the_longest_unused_go(path: Path) -> None:
    clock = Clock()
    bound = 1_000_000
    store = Store(path, max_bytes=bound, clock=clock)
    store.put_many({"favourite": "kept because it is read"})
    for batch in range(60):
        clock.now += 7200
        store.put_many({f"key {batch} {number:060}": "text " * 60 for number in range(100)})
        assert store.get_many(["favourite"])
    store.close()
    assert path.stat().st_size <= bound * 1.1
    assert store.get_many(["favourite"]) == {"favourite": "kept because it is read"}
    assert not store.get_many([f"key 0 {number:060}" for number in range(100)])
    assert len(store.get_many([f"key 59 {number:060}" for number in range(100)])) == 100
    assert store.stats().entries > bound / 1000


def test_a_batch_or_a_value_above_the_bound_does_no_harm(path: Path) -> None:
    store = Store(path, max_bytes=100_000)
    store.put_many({"huge": "x" * 1_000_000, "small": "kept"})
    assert store.get_many(["huge", "small"]) == {"small": "kept"}
    store.put_many({f"key{number}": "x" * 100 for number in range(10_000)})
    assert 100 < store.stats().entries < 1000
    assert store.get_many(["key9999"])


def test_the_total_follows_replacing_and_deleting(path: Path) -> None:
    store = Store(path, max_bytes=200_000)
    for turn in range(30):
        store.put_many({f"key{number}": "x" * (turn * 7 % 300) for number in range(turn * 50)})
    store.close()
    connection = sqlite3.connect(path)
    counted = connection.execute("SELECT sum(length(value) + 3 * length(key) + 64) FROM texts").fetchone()
    assert connection.execute("SELECT bytes FROM total").fetchone() == counted
    connection.close()


def test_reading_writes_at_most_once_an_hour(path: Path) -> None:
    clock = Clock()
    store = Store(path, clock=clock)
    store.put_many({"a": "one"})
    first = writes(path)
    clock.now += 3000
    store.get_many(["a"])
    assert writes(path) == first
    clock.now += 3000
    store.get_many(["a"])
    assert writes(path) == first + 6000
    clock.now += 3000
    store.get_many(["a"])
    assert writes(path) == first + 6000


def test_threads_share_one_store(path: Path) -> None:
    store = Store(path)
    failures: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for turn in range(50):
                store.put_many({f"{name} {turn}": f"value {name} {turn}"})
                assert store.get_many([f"{name} {turn}"]) == {f"{name} {turn}": f"value {name} {turn}"}
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert store.stats().entries == 400


def test_an_interrupt_while_writing_leaves_the_file_unlocked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(path)
    store.put_many({"a": "one"})

    def interrupted(connection: sqlite3.Connection) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_evict", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store.put_many({"b": "two"})
    other = Store(path)
    other.put_many({"c": "three"})
    assert other.get_many(["a", "b", "c"]) == {"a": "one", "c": "three"}


def test_clear_says_when_it_cannot(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qsum_lsp.store.store._BUSY_SECONDS", 0.2)
    store = Store(path)
    store.put_many({"a": "one"})
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    fresh = Store(path)
    with pytest.raises(FileError, match=r"summaries\.sqlite3 is locked"):
        fresh.clear()
    holder.execute("ROLLBACK")
    holder.close()
    fresh.clear()
    assert store.get_many(["a"]) == {}
