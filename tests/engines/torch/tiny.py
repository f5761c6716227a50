"""Tiny random models with a tokenizer, saved as a user's model folder would be."""

import asyncio
import functools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from qsum_lsp.engines.protocol import Completion, GenerationRequest, Message, Priority
from qsum_lsp.engines.torch import TorchEngine, TorchOptions

WORDS = 240
SIZES: dict[str, Any] = {
    "vocab_size": WORDS + 8,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.25,
}
TEMPLATE = "{% for m in messages %}{{ m.content }}{% endfor %}"


def config(family: str) -> PreTrainedConfig:
    """The configuration of a tiny model of ``family``."""
    if family == "qwen2":
        return Qwen2Config(**SIZES, tie_word_embeddings=True)
    if family == "qwen3":
        return Qwen3Config(**SIZES, head_dim=32, tie_word_embeddings=False)
    if family == "gemma":
        return GemmaConfig(**SIZES, head_dim=16)
    rope = {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    return LlamaConfig(**SIZES, rope_parameters=rope, tie_word_embeddings=True)


def save_model(folder: Path, family: str, *, seed: int = 0, stops: Sequence[int] = (WORDS,)) -> Path:
    """Write a model folder: random float32 weights, and a tokenizer of the words w0 … w239."""
    torch.manual_seed(seed)
    shape = config(family)
    shape.eos_token_id = list(stops)
    shape.pad_token_id = 0
    shape.bos_token_id = None
    model = AutoModelForCausalLM.from_config(shape, dtype=torch.float32)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.5)
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    model.generation_config.eos_token_id = list(stops)
    model.save_pretrained(folder)
    vocabulary = {f"w{n}": n for n in range(SIZES["vocab_size"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s+"), "removed")
    tokenizer.decoder = decoders.Fuse()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=f"w{WORDS}")
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)
    return folder


def words(length: int, seed: int) -> list[int]:
    """A random prompt of ``length`` tokens."""
    chance = random.Random(seed * 1000 + length)  # noqa: S311
    return [chance.randrange(WORDS) for _ in range(length)]


@functools.cache
def _transformers_model(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder)


def reference(folder: Path, prompt: Sequence[int], new_tokens: int) -> list[int]:
    """What transformers' greedy ``generate`` continues ``prompt`` with."""
    model = _transformers_model(folder)
    out = model.generate(
        torch.tensor([list(prompt)]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=new_tokens,
        do_sample=False,
    )
    return out[0, len(prompt) :].tolist()


def request(prompt: Sequence[int], new_tokens: int, priority: Priority = Priority.BATCH) -> GenerationRequest:
    """The request whose prompt is exactly ``prompt``."""
    text = " ".join(f"w{n}" for n in prompt)
    return GenerationRequest(
        messages=(Message("user", text),), source=text, max_new_tokens=new_tokens, priority=priority
    )


def options(folder: Path, **settings: object) -> TorchOptions:
    """Options for a tiny model on the CPU, without speculation unless asked for."""
    usual: dict[str, object] = {"device": "cpu", "speculation": "off", "memory_mib": 200, "max_batch": 8}
    return TorchOptions(model=str(folder), **(usual | settings))  # type: ignore[arg-type]


async def answer(engine: TorchEngine, prompts: Sequence[Sequence[int]], new_tokens: int) -> list[list[int]]:
    """The tokens that ``engine`` continues ``prompts`` with, all at once."""
    done = await asyncio.gather(*(engine.generate(request(p, new_tokens)) for p in prompts))
    return [tokens(completion) for completion in done]


def tokens(completion: Completion) -> list[int]:
    """The tokens of an answer, the stop token at its end included."""
    text = completion.text
    found = [int(part) for part in text.split("w")[1:]]
    return found + ([WORDS] if completion.finish_reason == "stop" else [])
