"""What the launcher takes for the engine while one process follows another."""

import asyncio
import errno
import os
import shutil
import socket
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from qsum_lsp import home
from qsum_lsp.engines.host import launcher, process
from qsum_lsp.engines.host.place import EnginePlace, EngineRecord
from qsum_lsp.engines.host.process import EngineProcess
from qsum_lsp.errors import EngineUnavailable
from tests.engines.host.engines import Engines
from tests.scripted_engine import ScriptedEngine


@pytest.fixture
def place(engines: Engines) -> EnginePlace:
    """The place of an engine that was killed: its record and its socket are still there."""
    place = EnginePlace("0123456789abcdef")
    place.prepare()
    place.write(EngineRecord(pid=1, created=1.0, address=f"unix:{place.socket}"))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place.socket))
    return place


async def test_a_socket_is_open_only_after_the_dead_engines_record_is_gone(
    place: EnginePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[EngineRecord | None] = []

    def unix_listener(path: Path) -> socket.socket:
        seen.append(place.read())
        return open_listener(path)

    open_listener = process.unix_listener
    monkeypatch.setattr(process, "unix_listener", unix_listener)
    finder = launcher.Launcher(place, [])
    assert await finder.find() is None
    engine_process = EngineProcess(ScriptedEngine(), place, idle_minutes=1)
    engine_process._listen()
    with engine_process._listener:
        found, written = await finder.find(), place.read()
    place.remove()  # it names this process
    assert seen == [None]
    assert found == written is not None


async def test_a_record_read_before_the_next_process_listened_is_not_used(
    place: EnginePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = place.read()
    assert dead is not None
    started = replace(dead, created=2.0)

    async def accepts(record: EngineRecord) -> bool:
        place.write(started)  # the next process came between the reading and the connecting
        return True

    monkeypatch.setattr(launcher, "_accepts", accepts)
    finder = launcher.Launcher(place, [])
    assert await finder.find() is None
    assert await finder.find() == started


async def test_a_process_that_leaves_takes_nothing_of_its_successor_along(place: EnginePlace) -> None:
    first, second = (EngineProcess(ScriptedEngine(), place, idle_minutes=1) for _ in range(2))
    first._listen()
    shutil.rmtree(home.run_folder())  # and with it the lock that the first one holds
    place.prepare()
    second._listen()
    place.write(EngineRecord(pid=1, created=1.0, address=f"unix:{place.socket}"))  # not this same process
    with first._listener, second._listener:
        await first._leave(asyncio.create_task(asyncio.sleep(0)), asyncio.create_task(asyncio.sleep(0)))
        record = await launcher.Launcher(place, []).find()
    place.remove()
    assert record is not None
    assert record.pid == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the start time stays as it is")
def test_a_process_is_known_by_its_start_whatever_the_clock_says(
    place: EnginePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine_process = EngineProcess(ScriptedEngine(), place, idle_minutes=1)
    engine_process._listen()
    engine_process._listener.close()
    record = place.read()
    place.remove()
    assert record is not None
    create_time = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: create_time(process) + 3)
    assert record.process() is not None
    boot, _, ticks = record.started.partition(" ")
    assert replace(record, started=f"{boot} {int(ticks) - 1}").process() is None
    assert replace(record, started=f"another-boot {ticks}").process() is None
    assert replace(record, started="").process() is None  # of a version that did not know it


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_one_message_and_nothing_half_written_is_left(
    place: EnginePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(home.run_folder().iterdir())
    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(EngineUnavailable, match=r"No space left on device\. Make room"):
        place.write(EngineRecord(pid=1, created=1.0, address="unix:/x"))
    place.remember(ScriptedEngine().identity)
    assert sorted(home.run_folder().iterdir()) == before


async def test_a_client_is_told_of_a_full_disk_at_its_first_start(
    place: EnginePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "replace", full)
    starter = launcher.Launcher(place, [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(EngineUnavailable, match=r"No space left on device\. Make room"):
        await starter.ensure()
