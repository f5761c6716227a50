"""How many threads decode so that the machine stays usable."""

import os
from pathlib import Path

import psutil

_MOST = 16


def default_threads() -> int:
    """Physical cores that this process may use and nobody else does now, but at least half of all, at most 16.

    Where there are more than two, one stays free in any case. llama.cpp's threads wait for each other many times a token,
    so one that finds no core holds up all: on two busy cores two threads decode ten times slower than one.
    """
    cores = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = min(cores, len(os.sched_getaffinity(0)))
    quota = _cgroup_quota()
    if quota is not None:
        cores = min(cores, max(1, int(quota)))
    idle = cores - round(psutil.getloadavg()[0])
    return min(max(idle, cores // 2, 1), cores - 1 if cores > 2 else cores, _MOST)


def _cgroup_quota() -> float | None:
    """CPUs' worth of time that the container may use (cgroup v2, ``cpu.max``: quota and period in microseconds)."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return None
