"""A home of its own for every test, and no network but the loopback interface."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qsum_lsp import models
from qsum_lsp.models import HubSource, RegistrySource, entries, files, hub
from tests.models import fake


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ``QSUM_HOME`` of the test; the hub's cache is empty, the hub refuses, pip knows one empty folder."""
    monkeypatch.setenv("QSUM_HOME", str(tmp_path / "home"))
    for name in ("QSUM_OFFLINE", "HF_HUB_OFFLINE", "HF_HOME", "HUGGINGFACE_HUB_CACHE", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setattr(hub, "_unreachable", {})
    monkeypatch.setattr(files, "_hashes_of_this_process", {})
    return tmp_path / "home"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """The folder where pip looks for wheels."""
    return tmp_path / "wheels"


@pytest.fixture
def use_model(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make the small model, from the given sources, the whole catalogue."""

    def use(*sources: HubSource | RegistrySource) -> None:
        model = fake.entry(*sources)
        for module in (entries, models):
            monkeypatch.setattr(module, "catalogue", lambda: (model,))

    return use


@pytest.fixture
def running_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[fake.Hub]:
    """A hub that answers; change its attributes before it is asked."""
    with fake.Hub().serve() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running
