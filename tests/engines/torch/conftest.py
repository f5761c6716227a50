from pathlib import Path

import pytest

from tests.engines.torch.tiny import save_model


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QSUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("QSUM_OFFLINE", "1")


@pytest.fixture(scope="session", params=["qwen2", "qwen3", "llama"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of each family that the own runner computes."""
    return save_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="session")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny Qwen2."""
    return save_model(tmp_path_factory.mktemp("qwen"), "qwen2")
