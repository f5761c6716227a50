"""From a GGUF file to a folder of bfloat16 safetensors: weights, configuration, tokenizer, chat template."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from qsum_lsp.errors import EngineUnavailable

NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""What llama.cpp calls a tensor, and what transformers calls it."""

STOP_TOKENS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "</s>")


def convert(gguf: Path, folder: Path) -> None:
    """Write ``folder``. Raises EngineUnavailable for what the own runner does not compute."""
    import torch
    from gguf import GGUFReader
    from gguf.quants import dequantize
    from safetensors.torch import save_file
    from transformers import AutoTokenizer

    reader = GGUFReader(gguf)
    architecture = _field(reader, "general.architecture")
    if architecture not in ("qwen2", "qwen3", "llama"):
        raise EngineUnavailable(
            f"{gguf.name} holds a {architecture} model; from GGUF qsum's torch engine reads qwen2, qwen3 and llama. "
            "Name a folder of safetensors or a hub id instead."
        )
    config = _config(reader, architecture)
    factors = next((tensor.data for tensor in reader.tensors if tensor.name == "rope_freqs.weight"), None)
    if factors is not None:
        config["rope_scaling"] = _rope_scaling(factors, config, gguf)
    tensors: dict[str, torch.Tensor] = {}
    for tensor in reader.tensors:
        name = transformers_name(tensor.name)
        if name is None:
            continue
        weights = dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if architecture == "llama" and ("q_proj" in name or "k_proj" in name):
            heads = config["num_attention_heads" if "q_proj" in name else "num_key_value_heads"]
            weights = _halves_paired(weights, heads)
        tensors[name] = torch.from_numpy(np.ascontiguousarray(weights)).to(torch.bfloat16)
    config["vocab_size"] = tensors["model.embed_tokens.weight"].shape[0]
    config["tie_word_embeddings"] = "lm_head.weight" not in tensors
    folder.mkdir(parents=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    tokenizer.save_pretrained(folder)
    known = tokenizer.get_vocab()
    stops = {known[token] for token in STOP_TOKENS if token in known} | {tokenizer.eos_token_id}
    config["eos_token_id"] = sorted(stop for stop in stops if stop is not None)
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")


def _field(reader: Any, key: str, default: Any = None) -> Any:
    field = reader.get_field(key)
    return default if field is None else field.contents()


def _config(reader: Any, architecture: str) -> dict[str, Any]:
    def value(key: str, default: Any = None) -> Any:
        return _field(reader, f"{architecture}.{key}", default)

    heads = value("attention.head_count")
    hidden = value("embedding_length")
    return {
        "model_type": architecture,
        "architectures": [f"{architecture.capitalize()}ForCausalLM"],
        "hidden_size": hidden,
        "intermediate_size": value("feed_forward_length"),
        "num_hidden_layers": value("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": value("attention.head_count_kv", heads),
        "head_dim": value("attention.key_length", hidden // heads),
        "max_position_embeddings": value("context_length"),
        "rms_norm_eps": value("attention.layer_norm_rms_epsilon"),
        "rope_theta": value("rope.freq_base", 10000.0),
        "hidden_act": "silu",
        "torch_dtype": "bfloat16",
    }


def _rope_scaling(factors: Any, config: dict[str, Any], gguf: Path) -> dict[str, Any]:
    """As transformers names what divides the rotary frequencies. Raises EngineUnavailable where it has no name."""
    factor = float(factors.max())
    low, high, old = 1.0, 4.0, 8192  # the same for Llama 3.1 and all later ones
    dim = config["head_dim"]
    wavelength = 2 * np.pi * config["rope_theta"] ** (np.arange(0, dim, 2) / dim)
    smooth = ((old / wavelength - low) / (high - low)).clip(0, 1)
    if not np.allclose(1 / factors, (1 - smooth) / factor + smooth, rtol=1e-3):
        raise EngineUnavailable(
            f"{gguf.name} scales its rotary embedding in a way that qsum's torch engine does not know. "
            "Name a folder of safetensors or a hub id instead."
        )
    return {
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": low,
        "high_freq_factor": high,
        "original_max_position_embeddings": old,
    }


def transformers_name(gguf_name: str) -> str | None:
    """What transformers calls the tensor ``gguf_name`` of llama.cpp; None where it has none."""
    parts = gguf_name.split(".")
    if parts[0] == "blk":
        base = NAMES.get(parts[2])
        return base and f"model.layers.{parts[1]}.{base}.{parts[3]}"
    base = NAMES.get(parts[0])
    return base and f"{base}.{parts[1]}"


def _halves_paired(weights: Any, heads: int) -> Any:
    # llama.cpp pairs neighbouring dimensions for the rotary embedding, transformers the two halves of a head
    rows = weights.shape[0]
    return weights.reshape(heads, rows // heads // 2, 2, -1).swapaxes(1, 2).reshape(weights.shape)
