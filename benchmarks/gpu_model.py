"""A model folder of any size with random weights: enough for speed, which does not depend on the values."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

QWEN_1_5B = {
    "model_type": "qwen2",
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "max_position_embeddings": 32768,
    "rope_theta": 1000000.0,
    "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "use_sliding_window": False,
    "torch_dtype": "bfloat16",
}
"""The shape of Qwen2.5-1.5B."""


def save_random_model(folder: Path, config: dict[str, object] = QWEN_1_5B) -> Path:
    """Write ``folder`` unless it is there: random bfloat16 weights and a tokenizer of the words w0, w1, …"""
    if (folder / "tokenizer.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    sizes = tensor_sizes(config)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator(device).manual_seed(0)
    tensors = {}
    for name, size in sizes.items():
        random = torch.randn(size, generator=generator, device=device)
        tensors[name] = (random * 0.02 + ("norm" in name)).to(torch.bfloat16).cpu()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    words = {f"w{n}": n for n in range(config["vocab_size"])}  # type: ignore[call-overload]
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "w0"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"chat_template": template, "tokenizer_class": "PreTrainedTokenizerFast"}),
        encoding="utf-8",
    )
    return folder


def tensor_sizes(config: dict[str, object]) -> dict[str, tuple[int, ...]]:
    """Name and size of every tensor of a Qwen2 model."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    assert isinstance(hidden, int) and isinstance(heads, int) and isinstance(kv_heads, int)  # noqa: PT018
    kv = hidden // heads * kv_heads
    sizes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (config["vocab_size"], hidden),  # type: ignore[dict-item]
        "model.norm.weight": (hidden,),
    }
    for index in range(config["num_hidden_layers"]):  # type: ignore[call-overload]
        at = f"model.layers.{index}."
        sizes |= {
            f"{at}self_attn.q_proj.weight": (hidden, hidden),
            f"{at}self_attn.q_proj.bias": (hidden,),
            f"{at}self_attn.k_proj.weight": (kv, hidden),
            f"{at}self_attn.k_proj.bias": (kv,),
            f"{at}self_attn.v_proj.weight": (kv, hidden),
            f"{at}self_attn.v_proj.bias": (kv,),
            f"{at}self_attn.o_proj.weight": (hidden, hidden),
            f"{at}mlp.gate_proj.weight": (inner, hidden),  # type: ignore[dict-item]
            f"{at}mlp.up_proj.weight": (inner, hidden),  # type: ignore[dict-item]
            f"{at}mlp.down_proj.weight": (hidden, inner),  # type: ignore[dict-item]
            f"{at}input_layernorm.weight": (hidden,),
            f"{at}post_attention_layernorm.weight": (hidden,),
        }
    return sizes
