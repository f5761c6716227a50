"""default_threads: a core is left free where there are more than two."""

import os

import psutil
import pytest

from qsum_lsp.engines.llama import threads


@pytest.mark.parametrize(
    ("cores", "allowed", "quota", "expected"),
    [
        (1, 1, None, 1),
        (2, 2, None, 2),
        (4, 4, None, 3),
        (8, 3, None, 2),
        (8, 8, 2.0, 2),
        (8, 8, 0.5, 1),
        (64, 64, None, 16),
    ],
)
def test_default_threads(
    monkeypatch: pytest.MonkeyPatch, cores: int, allowed: int, quota: float | None, expected: int
) -> None:
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: cores)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(allowed)), raising=False)
    monkeypatch.setattr(threads, "_cgroup_quota", lambda: quota)
    assert threads.default_threads() == expected
