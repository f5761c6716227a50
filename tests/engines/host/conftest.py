"""A home of its own for each test, and no engine process that outlives it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qsum_lsp.engines.host.place import EnginePlace
from tests.engines.host.engines import Engines

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engines]:
    """What the engine processes of this test's home did; all are ended afterwards."""
    monkeypatch.setenv("QSUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    watched = Engines(tmp_path / "home")
    yield watched
    for place in EnginePlace.all():
        record = place.read()
        if record is not None:
            record.kill()
    for pid in watched.alive():
        os.kill(pid, 9)
    deadline = time.monotonic() + 10
    while watched.alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not watched.alive()
