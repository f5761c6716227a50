"""The store among real processes, on broken files and on disks that do not let it write."""

import logging
import multiprocessing
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from qsum_lsp.store import Store

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="qsum-store-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def damaged_files(path: Path) -> list[Path]:
    return list(path.parent.glob(f"{path.name}-damaged-*"))


def whole(path: Path) -> bool:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def value_of(name: int, turn: int, number: int) -> str:
    return f"The summary {name} {turn} {number}. " * 5


def write_many(path: Path, name: int, barrier: "multiprocessing.synchronize.Barrier") -> None:
    store = Store(path)
    barrier.wait()
    for turn in range(25):
        store.put_many({f"{name}-{turn}-{number}": value_of(name, turn, number) for number in range(8)})
        mine = [f"{name}-{turn}-{number}" for number in range(8)]
        if len(store.get_many(mine)) != 8:
            sys.exit(f"{name}-{turn} was lost")
    store.close()


def write_for_ever(path: Path, name: int) -> None:
    store = Store(path)
    turn = 0
    while True:
        store.put_many({f"{name}-{turn}-{number}": value_of(name, turn, number) for number in range(50)})
        turn += 1


def use_and_report(path: Path, name: int, barrier: "multiprocessing.synchronize.Barrier") -> None:
    store = Store(path)
    barrier.wait()
    store.put_many({f"key {name}": f"value {name}"})
    if store.get_many([f"key {name}"]) != {f"key {name}": f"value {name}"}:
        sys.exit("the store does not work")


def test_eight_processes_begin_the_file_and_write_at_once(path: Path) -> None:
    barrier = SPAWN.Barrier(8)
    workers = [SPAWN.Process(target=write_many, args=(path, name, barrier)) for name in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    expected = {
        f"{name}-{turn}-{number}": value_of(name, turn, number)
        for name in range(8)
        for turn in range(25)
        for number in range(8)
    }
    assert Store(path).get_many(list(expected)) == expected
    assert whole(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_writers_leave_a_whole_file(path: Path) -> None:
    reader = Store(path)
    for name in range(5):
        workers = [SPAWN.Process(target=write_for_ever, args=(path, 10 * name + i)) for i in range(2)]
        for worker in workers:
            worker.start()
        deadline = time.monotonic() + 60
        first = [f"{10 * name + i}-0-0" for i in range(2)]
        while len(reader.get_many(first)) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.02 * name)
        for worker in workers:
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            worker.join()
        found = Store(path).get_many(
            [f"{10 * name + i}-0-{number}" for i in range(2) for number in range(50)]
        )
        assert found == {
            f"{10 * name + i}-0-{number}": value_of(10 * name + i, 0, number)
            for i in range(2)
            for number in range(50)
        }
        assert whole(path)
    assert not damaged_files(path)


@pytest.mark.parametrize(
    "content",
    [b"not a database, but longer than the head of one. " * 50, b"SQLite format 3\x00" + b"\xff" * 5000],
)
def test_a_garbage_file_is_set_aside(path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    store = Store(path)
    assert store.get_many(["a"]) == {}
    store.put_many({"a": "one"})
    assert store.get_many(["a"]) == {"a": "one"}
    (aside,) = damaged_files(path)
    assert aside.read_bytes() == content
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert aside.name in caplog.text


@pytest.mark.parametrize("left", [0.02, 0.3, 0.7])
def test_a_truncated_file_is_set_aside_or_still_right(path: Path, left: float) -> None:
    store = Store(path)
    store.put_many({f"key{number}": f"value {number} " * 20 for number in range(5000)})
    store.close()
    with path.open("r+b") as file:
        file.truncate(int(path.stat().st_size * left))
    store = Store(path)
    for number in range(0, 5000, 50):
        key = f"key{number}"
        assert store.get_many([key]).get(key, "") in ("", f"value {number} " * 20)
    store.put_many({"after": "it works again"})
    assert Store(path).get_many(["after"]) == {"after": "it works again"}
    assert len(damaged_files(path)) == 1
    assert whole(path)


def test_a_page_of_zeros_in_the_middle_is_found_and_the_file_set_aside(path: Path) -> None:
    store = Store(path)
    store.put_many({f"key{number}": f"value {number} " * 20 for number in range(5000)})
    store.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(bytes(path.stat().st_size - 3 * 8192))
    store = Store(path)
    for number in range(5000):
        store.get_many([f"key{number}"])
    store.put_many({"after": "it works again"})
    assert store.get_many(["after"]) == {"after": "it works again"}
    assert len(damaged_files(path)) == 1


@pytest.mark.parametrize(
    "damage", ["used = x'00'", "value = 'text'", "value = CAST(x'ff' AS TEXT)", "value = 7", "value = x'ff'"]
)
def test_a_damaged_row_is_written_anew(path: Path, damage: str) -> None:
    store = Store(path)
    store.put_many({"a": "one", "b": "two"})
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"UPDATE texts SET {damage} WHERE key = CAST('a' AS BLOB)")  # noqa: S608
    connection.close()
    assert store.get_many(["a", "b"])["b"] == "two"
    store.put_many({"a": "three"})
    assert store.get_many(["a", "b"]) == {"a": "three", "b": "two"}
    assert not damaged_files(path)


def test_a_file_that_does_not_know_its_size_is_set_aside(path: Path) -> None:
    store = Store(path)
    store.put_many({"a": "one"})
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("DELETE FROM total")
    connection.close()
    store.put_many({"a": "two"})
    assert store.get_many(["a"]) == {"a": "two"}
    assert len(damaged_files(path)) == 1


def test_a_schema_that_is_no_text_is_set_aside(path: Path) -> None:
    store = Store(path)
    store.put_many({"a": "one"})
    store.close()
    content = path.read_bytes()
    assert b"texts (used)" in content
    path.write_bytes(content.replace(b"texts (used)", b"texts (u\xffed)"))
    assert store.get_many(["a"]) == {}
    store.put_many({"a": "two"})
    assert store.get_many(["a"]) == {"a": "two"}
    assert len(damaged_files(path)) == 1


def test_an_old_log_is_never_played_into_the_new_file(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"garbage " * 1000)
    path.with_name(path.name + "-wal").write_bytes(b"garbage " * 1000)
    path.with_name(path.name + "-shm").write_bytes(b"garbage " * 1000)
    Store(path).put_many({"a": "one"})
    assert Store(path).get_many(["a"]) == {"a": "one"}
    assert whole(path)


def test_a_damaged_file_is_replaced_once_by_many_processes(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"garbage " * 1000)
    barrier = SPAWN.Barrier(6)
    workers = [SPAWN.Process(target=use_and_report, args=(path, name, barrier)) for name in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 6
    expected = {f"key {name}": f"value {name}" for name in range(6)}
    assert Store(path).get_many(list(expected)) == expected
    assert len(damaged_files(path)) == 1


def test_only_the_last_damaged_file_is_kept(path: Path) -> None:
    now = [1_800_000_000.0]
    for content in (b"first ", b"second ", b"third "):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content * 1000)
        now[0] += 60
        store = Store(path, clock=lambda: now[0])
        store.put_many({"a": "one"})
        store.close()
    (aside,) = damaged_files(path)
    assert aside.read_bytes().startswith(b"third")


def test_a_file_deleted_by_hand_is_begun_again(path: Path) -> None:
    store = Store(path)
    store.put_many({"a": "one"})
    shutil.rmtree(path.parent)
    assert store.get_many(["a"]) == {}
    store.put_many({"b": "two"})
    assert Store(path).get_many(["b"]) == {"b": "two"}


def test_a_file_of_a_newer_version_is_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE later (x); PRAGMA user_version = 99;")
    connection.close()
    before = path.read_bytes()
    store = Store(path)
    store.put_many({"a": "one"})
    assert store.get_many(["a"]) == {}
    assert path.read_bytes() == before
    assert "newer version" in caplog.text


def test_a_path_that_cannot_exist_is_an_empty_store_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qsum_lsp.store.store._RETRY_SECONDS", 0.0)
    (tmp_path / "file").write_text("no folder")
    store = Store(tmp_path / "file" / "store" / "summaries.sqlite3")
    for _ in range(3):
        store.put_many({"a": "one"})
        assert store.get_many(["a"]) == {}
    assert store.stats().entries == 0
    store.clear()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "Summaries are not cached" in caplog.text


def test_a_folder_in_place_of_the_file_is_an_empty_store(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.mkdir(parents=True)
    store = Store(path)
    store.put_many({"a": "one"})
    assert store.get_many(["a"]) == {}
    assert len(caplog.records) == 1


def test_a_locked_file_costs_one_wait_and_is_tried_again_later(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qsum_lsp.store.store._BUSY_SECONDS", 0.2)
    store = Store(path)
    store.put_many({"a": "one"})
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    for number in range(20):
        store.put_many({"b": f"two {number}"})
    waited = time.monotonic() - started
    assert store.get_many(["a", "b"]) == {"a": "one"}
    assert len(caplog.records) == 1
    assert "locked" in caplog.text
    assert waited < 20 * 0.2
    holder.execute("ROLLBACK")
    holder.close()
    store._writes_rest_until = 0.0
    store.put_many({"b": "three"})
    assert store.get_many(["b"]) == {"b": "three"}


def in_child(action: str, path: Path, pipe: Connection) -> None:
    """Use a store without the right or the room to write; report what it found and what it logged."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("qsum_lsp").addHandler(handler)
    if action == "nobody" and os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    if action == "full":
        import resource

        limit = 65536  # room for the shared memory of readers, none for the values
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    store = Store(path)
    found = store.get_many(["a"])
    for number in range(5):
        store.put_many({f"b{number}": "two " * 50_000})
    later = store.get_many(["a", "b0"])
    store.close()
    pipe.send((found, later, messages))


@pytest.mark.skipif(sys.platform == "win32", reason="needs users and limits of POSIX")
@pytest.mark.parametrize("action", ["nobody", "full"])
def test_a_read_only_or_full_disk_costs_one_warning_and_never_an_error(
    open_folder: Path, action: str
) -> None:
    path = open_folder / "summaries.sqlite3"
    store = Store(path)
    store.put_many({"a": "one"})
    store.close()
    before = path.read_bytes()
    if action == "nobody":
        path.chmod(0o444)
        open_folder.chmod(0o555)
    ours, theirs = multiprocessing.Pipe()
    fork = multiprocessing.get_context("fork")  # another user may not be able to import this file again
    child = fork.Process(target=in_child, args=(action, path, theirs))
    child.start()
    child.join()
    assert child.exitcode == 0
    found, later, messages = ours.recv()
    open_folder.chmod(0o755)
    assert found in ({}, {"a": "one"})
    assert "b0" not in later
    assert len(messages) == 1
    assert "Summaries are not cached" in messages[0]
    if action == "full":
        assert found == later == {"a": "one"}
    else:
        assert path.read_bytes() == before
    assert not damaged_files(path)
    assert Store(path).get_many(["a"]) == {"a": "one"}
