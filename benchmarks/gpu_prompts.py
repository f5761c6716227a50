"""Requests of an exact number of tokens for the random models of ``gpu_model``."""

import random

from qsum_lsp.engines.protocol import GenerationRequest, Message, Priority

NEW = 96


def text_of(length: int, seed: int) -> str:
    """A prompt of ``length`` random tokens of the random model's tokenizer."""
    chance = random.Random(seed)
    return " ".join(f"w{chance.randrange(150000)}" for _ in range(length))


def request(length: int, seed: int, new: int = NEW, priority: Priority = Priority.BATCH) -> GenerationRequest:
    """A request of exactly ``length`` prompt tokens."""
    text = text_of(length, seed)
    return GenerationRequest(
        messages=(Message("user", text),), source=text, max_new_tokens=new, priority=priority
    )
