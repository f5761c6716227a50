"""An adapter beside its model: llama.cpp answers as it does with a model whose weights have the adapter in them."""

import hashlib
from pathlib import Path

import gguf
import numpy as np
import pytest

from qsum_lsp.engines.llama import LlamaEngine, engine
from qsum_lsp.engines.protocol import GenerationRequest, Message
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.models import Adapter

HIDDEN, FEED, HEADS, KV_HEADS, LAYERS, RANK, ALPHA = 64, 128, 4, 2, 2, 4, 8
KV = HIDDEN // HEADS * KV_HEADS
MATRICES = {
    "attn_q": (HIDDEN, HIDDEN),
    "attn_k": (KV, HIDDEN),
    "attn_v": (KV, HIDDEN),
    "attn_output": (HIDDEN, HIDDEN),
    "ffn_gate": (FEED, HIDDEN),
    "ffn_up": (FEED, HIDDEN),
    "ffn_down": (HIDDEN, FEED),
}
REQUEST = GenerationRequest(
    messages=(Message("user", "a short text about one thing and another"),), source="", max_new_tokens=24
)

Arrays = dict[str, np.ndarray]


def byte_tokens() -> list[str]:
    """What GPT-2's tokenizer calls the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    names = {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [names[byte] for byte in range(256)]


def weights() -> Arrays:
    """Random weights of a tiny Qwen2 by llama.cpp's names."""
    random = np.random.default_rng(0)
    tokens = len(byte_tokens()) + 3
    found: Arrays = {
        "token_embd.weight": random.normal(0, 1, (tokens, HIDDEN)),
        "output.weight": random.normal(0, 0.3, (tokens, HIDDEN)),
        "output_norm.weight": np.ones(HIDDEN),
    }
    for layer in range(LAYERS):
        for name, shape in MATRICES.items():
            found[f"blk.{layer}.{name}.weight"] = random.normal(0, 0.2, shape)
        for name, size in (("attn_q", HIDDEN), ("attn_k", KV), ("attn_v", KV)):
            found[f"blk.{layer}.{name}.bias"] = random.normal(0, 0.2, size)
        for name in ("attn_norm", "ffn_norm"):
            found[f"blk.{layer}.{name}.weight"] = np.ones(HIDDEN)
    return {name: value.astype(np.float32) for name, value in found.items()}


def factors() -> Arrays:
    """A random adapter for every matrix of the layers."""
    random = np.random.default_rng(1)
    found = {}
    for layer in range(LAYERS):
        for name, (rows, columns) in MATRICES.items():
            base = f"blk.{layer}.{name}.weight"
            found[f"{base}.lora_a"] = random.normal(0, 0.2, (RANK, columns)).astype(np.float16)
            found[f"{base}.lora_b"] = random.normal(0, 0.2, (rows, RANK)).astype(np.float16)
    return found


def write(path: Path, tensors: Arrays, *, adapter: bool = False) -> Path:
    """Write a GGUF file of a model or of an adapter."""
    writer = gguf.GGUFWriter(str(path), "qwen2")
    if adapter:
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, ALPHA)
    else:
        writer.add_block_count(LAYERS)
        writer.add_context_length(512)
        writer.add_embedding_length(HIDDEN)
        writer.add_feed_forward_length(FEED)
        writer.add_head_count(HEADS)
        writer.add_head_count_kv(KV_HEADS)
        writer.add_layer_norm_rms_eps(1e-6)
        writer.add_rope_freq_base(10000.0)
        tokens = [*byte_tokens(), "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list(tokens)
        writer.add_token_types([gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * 3)
        writer.add_token_merges(["a b"])
        writer.add_eos_token_id(258)
        writer.add_chat_template(
            "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
            "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
        )
    for name, value in tensors.items():
        writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


async def answered(path: Path, adapter: Adapter | None = None) -> str:
    """What the model at ``path`` answers."""
    llama = LlamaEngine(path, model_name="tiny", model_hash="0" * 64, adapter=adapter, context_tokens=512)
    try:
        return (await llama.generate(REQUEST)).text
    finally:
        await llama.aclose()


def adapter_at(path: Path, monkeypatch: pytest.MonkeyPatch) -> Adapter:
    """The adapter at ``path`` as one of the catalogue."""
    monkeypatch.setattr(engine, "adapter_path", lambda _: path)
    return Adapter(path.name, hashlib.sha256(path.read_bytes()).hexdigest())


async def test_beside_the_model_as_in_its_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, added = weights(), factors()
    merged = dict(plain)
    for name in [name.removesuffix(".lora_a") for name in added if name.endswith(".lora_a")]:
        update = added[f"{name}.lora_b"].astype(np.float32) @ added[f"{name}.lora_a"].astype(np.float32)
        merged[name] = plain[name] + ALPHA / RANK * update
    base = write(tmp_path / "base.gguf", plain)
    adapter = adapter_at(write(tmp_path / "adapter.gguf", added, adapter=True), monkeypatch)
    expected = await answered(write(tmp_path / "merged.gguf", merged))
    assert await answered(base, adapter) == expected
    assert await answered(base) != expected


async def test_an_adapter_of_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = {
        "blk.0.attn_q.weight.lora_a": np.ones((RANK, 32), np.float16),
        "blk.0.attn_q.weight.lora_b": np.ones((32, RANK), np.float16),
    }
    base = write(tmp_path / "base.gguf", weights())
    adapter = adapter_at(write(tmp_path / "adapter.gguf", foreign, adapter=True), monkeypatch)
    with pytest.raises(EngineUnavailable, match=r"base\.gguf"):
        await answered(base, adapter)


def test_cached_summaries_of_model_and_adapter_are_apart(tmp_path: Path) -> None:
    def fingerprint(adapter: Adapter | None) -> str:
        path = tmp_path / "model.gguf"
        return LlamaEngine(path, model_name="m", model_hash="0" * 64, adapter=adapter).identity.fingerprint

    adapters = (None, Adapter("a.gguf", "1" * 64), Adapter("a.gguf", "2" * 64))
    assert len({fingerprint(adapter) for adapter in adapters}) == 3
