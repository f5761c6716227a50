"""Requests of an exact number of tokens for the random models of ``gpu_model``, and how fast many are answered."""

import asyncio
import random
import time

from qsum_lsp.engines.protocol import Engine, GenerationRequest, Message, Priority

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


async def sections_per_second(engine: Engine, lengths: list[int], seed: int) -> float:
    """The rate of requests of these ``lengths``, all at once; prompts with other seeds share nothing with them."""
    requests = [request(length, seed + n) for n, length in enumerate(lengths)]
    begun = time.perf_counter()
    done = await asyncio.gather(*(engine.generate(each) for each in requests))
    seconds = time.perf_counter() - begun
    assert all(each.new_tokens == NEW for each in done)
    return len(lengths) / seconds
