"""Whole processes, measured: wall-clock time, and the processor time that does not grow on a busy machine."""

import os
import statistics
import subprocess
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of one process: on the wall, and on the processor in user mode (threads included, children not)."""

    wall: float
    user: float


def spent(command: Sequence[str], environment: Mapping[str, str], *, codes: Collection[int] = (0,)) -> Spent:
    """Run ``command`` to its end; its exit code has to be one of ``codes``."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode in codes, f"exit code {process.returncode}: {' '.join(command)}"
    return Spent(wall, usage.ru_utime)


def in_turn(
    commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], *, runs: int
) -> dict[str, list[Spent]]:
    """Each of ``commands`` ``runs`` times, taking turns so that a busy moment hits all of them; one run before is not counted."""
    found: dict[str, list[Spent]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            once = spent(command, environment)
            if run:
                found[name].append(once)
    return found


def print_table(found: Mapping[str, Sequence[Spent]], limits_ms: Mapping[str, int]) -> None:
    """Medians and least values in milliseconds, beside what is aimed at."""
    print(
        "| whole process | wall ms, median | least | user CPU ms, median | least | limit ms |\n|---|---|---|---|---|---|"
    )
    for name, runs in found.items():
        cells = [name]
        for seconds in ([once.wall for once in runs], [once.user for once in runs]):
            cells += [f"{statistics.median(seconds) * 1000:.0f}", f"{min(seconds) * 1000:.0f}"]
        print(f"| {' | '.join(cells)} | {limits_ms.get(name, '')} |")


@contextmanager
def installed_environment() -> Iterator[dict[str, str]]:
    """An environment with a QSUM_HOME of its own, in which modules are compiled once as an installer does it."""
    with TemporaryDirectory() as home:
        environment = os.environ | {
            "QSUM_HOME": f"{home}/qsum",
            "PYTHONPYCACHEPREFIX": f"{home}/compiled",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "hooks"), os.environ.get("PYTHONPATH", "")]),
        }
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        yield environment
