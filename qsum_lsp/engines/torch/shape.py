"""The shape of a model, read from its ``config.json``."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

OWN_FAMILIES = ("qwen2", "qwen3", "llama")
"""Model types that the engine's own runner computes; all others go through transformers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """Sizes and constants of a Qwen2, Qwen3 or Llama decoder."""

    family: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    norm_eps: float
    rope: Mapping[str, Any]
    tied: bool
    context_tokens: int
    saved_dtype: str

    @property
    def q_size(self) -> int:
        """Width of all queries together."""
        return self.heads * self.head_dim

    @property
    def kv_size(self) -> int:
        """Width of all keys (or values) together."""
        return self.kv_heads * self.head_dim

    @classmethod
    def read(cls, folder: Path) -> "ModelShape":
        """The shape of the model saved in ``folder``."""
        config = read_config(folder)
        heads = config["num_attention_heads"]
        # transformers 5 writes rope_parameters; earlier versions rope_theta and rope_scaling
        rope = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
        rope.setdefault("rope_theta", config.get("rope_theta", 10000.0))
        rope.setdefault("rope_type", rope.get("type", "default"))
        return cls(
            family=config["model_type"],
            layers=config["num_hidden_layers"],
            hidden=config["hidden_size"],
            heads=heads,
            kv_heads=config.get("num_key_value_heads") or heads,
            head_dim=config.get("head_dim") or config["hidden_size"] // heads,
            intermediate=config["intermediate_size"],
            vocabulary=config["vocab_size"],
            norm_eps=config["rms_norm_eps"],
            rope=rope,
            tied=config.get("tie_word_embeddings", False),
            context_tokens=config["max_position_embeddings"],
            saved_dtype=str(config.get("dtype") or config.get("torch_dtype") or "bfloat16"),
        )


def read_config(folder: Path) -> dict[str, Any]:
    """``config.json`` of a model folder."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return config


def supported(config: Mapping[str, Any]) -> bool:
    """True where the own runner computes this model exactly; False sends it to transformers."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    return (
        config.get("model_type") in OWN_FAMILIES
        and kind in ("default", "linear", "llama3")
        and not config.get("use_sliding_window")
        and config.get("hidden_act", "silu") == "silu"
        and rope.get("partial_rotary_factor", 1.0) == 1.0
    )


def stop_ids(folder: Path, config: Mapping[str, Any]) -> tuple[int, ...]:
    """Token ids that end an answer: those of the generation config and of the config."""
    ids: set[int] = set()
    generation = folder / "generation_config.json"
    sources = [config]
    if generation.exists():
        sources.append(json.loads(generation.read_text(encoding="utf-8")))
    for source in sources:
        value = source.get("eos_token_id")
        ids.update(value if isinstance(value, list) else [] if value is None else [value])
    return tuple(sorted(ids))


def rope_table(shape: ModelShape, positions: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines of the rotary embedding, each float32 [positions, head_dim / 2].

    ``llama3`` rescales the low frequencies as in Llama 3.1 (Meta, 2024); ``linear`` divides all of them.
    """
    dim = shape.head_dim
    frequencies = 1.0 / shape.rope["rope_theta"] ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    if shape.rope["rope_type"] == "linear":
        frequencies = frequencies / shape.rope["factor"]
    elif shape.rope["rope_type"] == "llama3":
        factor, old = shape.rope["factor"], shape.rope["original_max_position_embeddings"]
        low, high = shape.rope["low_freq_factor"], shape.rope["high_freq_factor"]
        wavelength = 2 * math.pi / frequencies
        smooth = ((old / wavelength - low) / (high - low)).clamp(0, 1)
        frequencies = (1 - smooth) * frequencies / factor + smooth * frequencies
    angles = torch.outer(torch.arange(positions, dtype=torch.float32), frequencies)
    return angles.cos().to(device), angles.sin().to(device)
