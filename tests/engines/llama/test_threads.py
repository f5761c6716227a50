"""default_threads: idle cores, one left free where there are more than two."""

import os

import psutil
import pytest

from qsum_lsp.engines.llama import threads


@pytest.mark.parametrize(
    ("cores", "allowed", "quota", "load", "expected"),
    [
        (1, 1, None, 0.0, 1),
        (2, 2, None, 0.2, 2),
        (2, 2, None, 1.0, 1),
        (2, 2, None, 9.0, 1),
        (4, 4, None, 0.0, 3),
        (4, 4, None, 2.0, 2),
        (8, 8, None, 20.0, 4),
        (8, 3, None, 0.0, 2),
        (8, 8, 2.0, 0.0, 2),
        (8, 8, 0.5, 0.0, 1),
        (64, 64, None, 0.0, 16),
    ],
)
def test_default_threads(
    monkeypatch: pytest.MonkeyPatch,
    *,
    cores: int,
    allowed: int,
    quota: float | None,
    load: float,
    expected: int,
) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: cores)
    monkeypatch.setattr(psutil, "getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(allowed)), raising=False)
    monkeypatch.setattr(threads, "_cgroup_quota", lambda: quota)
    assert threads.default_threads() == expected
