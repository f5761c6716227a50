"""Client processes against each other and against SIGKILL. ``QSUM_TEST_ROUNDS`` sets how often."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qsum_lsp.engines.host.place import EnginePlace
from tests.engines.host.engines import Engines
from tests.engines.host.worker import Worker

ROUNDS = int(os.environ.get("QSUM_TEST_ROUNDS", "3"))

pytestmark = pytest.mark.timeout(120 + 20 * ROUNDS)


def sources(count: int, of: str) -> list[str]:
    return [f"{of} section {number} has these words" for number in range(count)]


def spread(number: int, low: float, high: float) -> float:
    """Moments between ``low`` and ``high``, another each round."""
    return low + (high - low) * (number * 7 % 10) / 10


def sentences(texts: list[str]) -> list[str]:
    return [f"{text}." for text in texts]


@pytest.fixture
def workers(engines: Engines) -> Iterator[list[Worker]]:
    started = [Worker() for _ in range(10)]
    yield started
    for worker in started:
        worker.end()


def stop(engines: Engines, name: str) -> None:
    """End the engine of a round, and see that nothing but that one was there.

    A second process that found the first one running may take a moment to leave.
    """
    record = EnginePlace(name).read()
    assert record is not None
    wait_for(engines, [record.pid])
    record.kill()
    wait_for(engines, [])


def wait_for(engines: Engines, pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while (alive := engines.alive()) != pids:
        assert time.monotonic() < deadline, f"{alive} run where {pids} should"
        time.sleep(0.01)


def test_ten_clients_at_the_same_instant_start_one_engine(engines: Engines, workers: list[Worker]) -> None:
    for number in range(ROUNDS):
        name, at = f"{number:016x}", time.time() + 0.2
        for index, worker in enumerate(workers):
            worker.tell(
                name=name, sources=sources(3, f"client {index}"), at=at, options={"load_seconds": 1.0}
            )
        answers = [worker.answer() for worker in workers]
        for index, answer in enumerate(answers):
            assert answer.get("texts") == sentences(sources(3, f"client {index}"))
        assert len(engines.loads()) == number + 1
        # Nobody waits longer than the load, from the start of the process on; twice that would be a second load.
        load = engines.loaded_at() - at
        assert max(answer["seconds"] for answer in answers) < 2 * load
        stop(engines, name)


def test_a_killed_client_frees_its_requests_and_harms_nobody(engines: Engines) -> None:
    name = "a" * 16
    options = {"seconds_per_word": 0.05, "idle_minutes": 10.0}
    steady = Worker()
    steady.tell(name=name, sources=["first"], options=options)
    assert steady.answer()["texts"] == ["first."]
    for number in range(ROUNDS):
        victim = Worker()
        victim.tell(name=name, sources=sources(30, "victim"), options=options)
        steady.tell(name=name, sources=sources(5, f"round {number}"), options=options)
        time.sleep(spread(number, 0.2, 0.8))
        victim.end()
        assert steady.answer().get("texts") == sentences(sources(5, f"round {number}"))
    # The engine is free again: a last request takes its own time, not that of what the victims had queued.
    steady.tell(name=name, sources=["last"], options=options)
    assert steady.answer().get("texts") == ["last."]
    steady.end()
    assert len(engines.loads()) == 1
    stop(engines, name)


@pytest.mark.parametrize("victim", ["client", "engine"])
def test_a_winner_killed_during_the_start_leaves_no_deadlock(engines: Engines, victim: str) -> None:
    for number in range(ROUNDS):
        name = f"{number:016x}"
        options = {"load_seconds": 0.3}
        winner, other = Worker(), Worker()
        winner.tell(name=name, sources=["w"], options=options)
        time.sleep(spread(number, 0.3, 1.2))  # from before the start to after the load
        if victim == "client":
            winner.end()
        other.tell(name=name, sources=sources(3, "other"), options=options)
        if victim == "engine":
            time.sleep(spread(number * 3, 0.0, 0.3))
            for pid in engines.alive():
                os.kill(pid, signal.SIGKILL)
            assert winner.answer().get("texts") == ["w."]
            winner.end()
        assert other.answer().get("texts") == sentences(sources(3, "other"))
        other.tell(name=name, sources=["again"], options=options)  # the engine may have been killed after all
        assert other.answer().get("texts") == ["again."]
        other.end()
        stop(engines, name)


def test_a_dead_engines_socket_and_lock_are_taken_over(engines: Engines, tmp_path: Path) -> None:
    name = "b" * 16
    worker = Worker()
    for number in range(2):
        worker.tell(name=name, sources=[f"answer {number}"])
        assert worker.answer().get("texts") == [f"answer {number}."]
        stop(engines, name)  # by SIGKILL: socket, record and lock file stay
        assert EnginePlace(name).socket.exists()
    worker.end()
