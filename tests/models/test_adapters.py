"""Which model has an adapter, and that its file is whole."""

import hashlib
from importlib import resources
from pathlib import Path

import pytest

from qsum_lsp import models
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.models import Adapter, adapters
from qsum_lsp.models.entries import ModelEntry
from tests.models.fake import CONTENT, HUB, entry

ADAPTER = Adapter("summaries.gguf", hashlib.sha256(b"adapter").hexdigest())


@pytest.fixture
def adapted(monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    """The small model with an adapter is the whole catalogue."""
    small = entry(HUB)
    with_adapter = ModelEntry(
        **{name: getattr(small, name) for name in small.__dataclass_fields__} | {"adapter": ADAPTER}
    )
    monkeypatch.setattr(adapters, "catalogue", lambda: (with_adapter,))
    return with_adapter


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the adapter's file is looked for."""
    monkeypatch.setattr(adapters.resources, "files", lambda _: tmp_path)
    path = tmp_path / "adapter_files" / ADAPTER.file
    path.parent.mkdir()
    return path


def test_the_adapters_that_are_installed_are_those_of_the_catalogue() -> None:
    named = {models.adapter_path(model.adapter) for model in models.catalogue() if model.adapter is not None}
    folder = Path(str(resources.files("qsum_lsp.models"))) / "adapter_files"
    assert set(folder.iterdir()) == {folder / "README.md", *named}


def test_a_file_gets_the_adapter_of_the_model_that_it_is(adapted: ModelEntry, tmp_path: Path) -> None:
    same, other = tmp_path / "same.gguf", tmp_path / "other.gguf"
    same.write_bytes(CONTENT)
    other.write_bytes(CONTENT[:-1] + b"\0")
    assert models.adapter_for(adapted) == ADAPTER
    assert models.adapter_for(same) == ADAPTER
    assert models.adapter_for(other) is None
    assert models.adapter_for(tmp_path / "missing.gguf") is None


@pytest.mark.parametrize(("content", "reason"), [(None, "cannot be read"), (b"adapter!", "damaged")])
def test_a_missing_or_damaged_adapter_is_named(installed: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        installed.write_bytes(content)
    with pytest.raises(EngineUnavailable, match=rf"{reason}.*Reinstall qsum-lsp") as caught:
        models.adapter_path(ADAPTER)
    assert str(installed) in str(caught.value)
    installed.write_bytes(b"adapter")
    assert models.adapter_path(ADAPTER) == installed
