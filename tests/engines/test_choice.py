"""Which engine the settings stand for."""

import importlib.util
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from qsum_lsp import service
from qsum_lsp.engines.extractive import ExtractiveEngine
from qsum_lsp.engines.host.shared import SharedEngine
from qsum_lsp.engines.llama import LlamaEngine
from qsum_lsp.engines.protocol import EngineIdentity
from qsum_lsp.engines.remote import RemoteEngine
from qsum_lsp.engines.torch.identity import loaded_identity
from qsum_lsp.errors import EngineUnavailable, UsageError
from qsum_lsp.service import create_engine, engine_name, model_to_pull
from qsum_lsp.settings.values import Settings

ALIAS = "qwen2.5-coder-0.5b"


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QSUM_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (Settings(engine="extractive"), ExtractiveEngine),
        (Settings(engine="remote", url="http://localhost:8000"), RemoteEngine),
        (Settings(engine="llama"), SharedEngine),
        (Settings(engine="llama", engine_sharing=False), LlamaEngine),
    ],
)
def test_the_named_engine_is_made_without_loading_it(settings: Settings, kind: type) -> None:
    engine = create_engine(settings)
    assert isinstance(engine, kind)
    assert engine.status().state in {"unloaded", "ready"}


def test_the_shared_engine_is_the_same_engine() -> None:
    shared = create_engine(Settings(engine="llama", model=ALIAS))
    own = create_engine(Settings(engine="llama", model=ALIAS, engine_sharing=False))
    assert shared.identity == own.identity  # known from the catalogue, before the model is here


@pytest.mark.parametrize(
    ("cuda", "importable", "expected"),
    [(True, True, "torch"), (True, False, "llama"), (False, True, "llama")],
)
def test_auto_is_torch_where_a_gpu_and_torch_are_there(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, importable: bool, expected: str
) -> None:
    monkeypatch.setattr(service, "_cuda_device", lambda: cuda)
    monkeypatch.setattr(service, "_importable", lambda *names: importable)
    assert engine_name(Settings()) == expected
    assert engine_name(Settings(engine="extractive")) == "extractive"


def test_every_other_setting_concerns_no_engine() -> None:
    others = {field.name for field in fields(Settings)} - set(service._ENGINE_SETTINGS)
    assert others == {"strategy", "key", "max_chars", "min_words", "include", "exclude", "hover_wait_ms"}


def test_a_hidden_gpu_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not service._cuda_device()


def test_torch_that_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match=r"qsum-lsp\[gpu\]"):
        create_engine(Settings(engine="torch"))


def test_a_client_of_the_torch_engine_never_imports_pytorch(tmp_path: Path) -> None:
    for name in ("torch", "transformers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('imported')\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "model" / "config.json").write_text('{"max_position_embeddings": 2048}')
    code = f"""
import sys
from qsum_lsp.cli import engine as commands
from qsum_lsp.service import create_engine, shared_settings
from qsum_lsp.settings import Settings
settings = Settings(engine="torch", model={str(tmp_path / "model")!r})
identity = create_engine(settings).identity
place = commands._place(shared_settings(settings))
assert place == create_engine(settings)._launcher.place
assert not {{"torch", "transformers"}} & set(sys.modules), sys.modules.keys()
print(identity.name, identity.model, identity.fingerprint.split("-")[1], identity.context_tokens)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout == "torch model none 2048\n"


def test_a_loaded_torch_engine_says_how_its_weights_are_quantized() -> None:
    expected = EngineIdentity(name="torch", model="m", fingerprint="0a1b-none", context_tokens=2048)
    assert loaded_identity(expected, "nf4").fingerprint == "0a1b-nf4"
    assert loaded_identity(expected, "none") == expected


def test_the_model_to_pull_is_named_until_it_is_here(tmp_path: Path) -> None:
    assert model_to_pull(Settings(engine="llama", model=ALIAS)) == ALIAS
    assert model_to_pull(Settings(engine="extractive")) is None
    here = tmp_path / "mine.gguf"
    here.write_bytes(b"GGUF")
    assert model_to_pull(Settings(engine="llama", model=str(here))) is None
    with pytest.raises(UsageError):
        model_to_pull(Settings(engine="llama", model="no-such-model"))
