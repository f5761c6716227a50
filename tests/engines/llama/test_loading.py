"""What keeps a model from loading, told so that a person can mend it. No model file is needed."""

import asyncio
import struct
from pathlib import Path

import pytest

from qsum_lsp.engines.llama import LlamaEngine
from qsum_lsp.engines.protocol import GenerationRequest, Message
from qsum_lsp.errors import EngineUnavailable

REQUEST = GenerationRequest(messages=(Message("user", "Say yes."),), source="", max_new_tokens=4)


def engine_for(path: Path) -> LlamaEngine:
    return LlamaEngine(path, model_name="none", model_hash="0" * 64, context_tokens=256)


def gguf_of_architecture(name: str) -> bytes:
    """A GGUF (version 3) without tensors and with one metadata pair, ``general.architecture``."""
    key = b"general.architecture"
    value = name.encode()
    return (
        struct.pack("<4sIQQ", b"GGUF", 3, 0, 1)
        + struct.pack("<Q", len(key))
        + key
        + struct.pack("<IQ", 8, len(value))
        + value
    )


@pytest.mark.parametrize(
    ("content", "reason", "remedy"),
    [
        (None, "there is no model file", "qsum models pull"),
        (b"", "no GGUF file", "qsum models pull"),
        (b"PK\x03\x04 not a model", "no GGUF file", "qsum models pull"),
        (b"GGUF" + b"\xff" * 200, "could not load", "Pull the model again"),
        (
            gguf_of_architecture("nonesuch"),
            "does not know the model architecture 'nonesuch'",
            "another model",
        ),
    ],
    ids=["missing", "empty", "not GGUF", "damaged", "unknown architecture"],
)
async def test_a_file_that_does_not_load(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes | None, reason: str, remedy: str
) -> None:
    path = tmp_path / "model.gguf"
    if content is not None:
        path.write_bytes(content)
    engine = engine_for(path)
    assert engine.status().state == "unloaded"
    with pytest.raises(EngineUnavailable) as caught:
        await engine.generate(REQUEST)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert remedy in str(caught.value)
    assert engine.status().state == "failed"
    assert engine.status().detail == str(caught.value)
    await engine.aclose()
    assert capfd.readouterr() == ("", "")


async def test_no_module_of_the_working_folder_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('a module of the working folder runs')")
    (tmp_path / "model.gguf").write_bytes(gguf_of_architecture("nonesuch"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EngineUnavailable, match="does not know the model architecture"):
        await engine_for(tmp_path / "model.gguf").generate(REQUEST)


async def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match=r"cannot be read|no GGUF"):
        await engine_for(tmp_path).count_tokens(["text"])


async def test_all_who_wait_for_a_failed_load_hear_of_it(tmp_path: Path) -> None:
    engine = engine_for(tmp_path / "missing.gguf")
    results = await asyncio.gather(*(engine.generate(REQUEST) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in results] == [EngineUnavailable] * 5


async def test_a_file_that_comes_later_is_tried_again(tmp_path: Path) -> None:
    engine = engine_for(tmp_path / "model.gguf")
    with pytest.raises(EngineUnavailable, match="no model file"):
        await engine.generate(REQUEST)
    (tmp_path / "model.gguf").write_bytes(b"text")
    with pytest.raises(EngineUnavailable, match="no GGUF"):
        await engine.generate(REQUEST)


async def test_a_closed_engine_says_so(tmp_path: Path) -> None:
    engine = engine_for(tmp_path / "model.gguf")
    await engine.aclose()
    await engine.aclose()
    with pytest.raises(EngineUnavailable, match="closed"):
        await engine.generate(REQUEST)
    with pytest.raises(EngineUnavailable, match="closed"):
        await engine.count_tokens(["text"])


def test_the_identity_needs_no_file(tmp_path: Path) -> None:
    one = engine_for(tmp_path / "missing.gguf").identity
    other = LlamaEngine(tmp_path / "missing.gguf", model_name="none", model_hash="1" * 64).identity
    assert (one.name, one.model, one.context_tokens) == ("llama", "none", 256)
    assert one.fingerprint != other.fingerprint
