"""How long somebody at a keyboard waits for a summary while a batch of pages is summarised."""

import asyncio
import random
import time
from typing import Any

from benchmarks.gpu_prompts import request, sections_per_second
from qsum_lsp.engines.protocol import Engine, Priority

LENGTH, NEW = 700, 48
ROUNDS = 3


async def hovers(engine: Engine, count: int = 1024) -> dict[str, Any]:
    """Hovers at odd moments, alone and beside ``count`` requests of a batch at once.

    First token and whole answer in ms, and the batch's sections a second without and with hovers.
    """
    chance = random.Random(3)
    lengths = [chance.randint(200, 1200) for _ in range(count)]
    alone = [await hover(engine, seed) for seed in range(40)][20:]
    seeds = range(10_000, 10_000 * (2 * ROUNDS + 1), 10_000)
    without = [await sections_per_second(engine, lengths, seed) for seed in seeds[:ROUNDS]]
    times, rates = [], []
    for seed in seeds[ROUNDS:]:
        task = asyncio.create_task(sections_per_second(engine, lengths, seed))
        await asyncio.sleep(chance.uniform(0.0, 0.3))
        while not task.done():
            times.append(await hover(engine, 100_000 + len(times)))
            await asyncio.sleep(chance.uniform(0.05, 0.3))
        rates.append(await task)
    return {
        "alone": spread(alone),
        "beside a batch": spread(times),
        "batch without hovers, sections/s": without,
        "batch with hovers, sections/s": rates,
    }


async def hover(engine: Engine, seed: int) -> tuple[float, float]:
    """Milliseconds until the first token and until the end of one answer."""
    stamps: list[float] = []
    asked = time.perf_counter()
    await engine.generate(
        request(LENGTH, seed, NEW, Priority.HOVER), on_text=lambda _: stamps.append(time.perf_counter())
    )
    return (stamps[0] - asked) * 1000, (time.perf_counter() - asked) * 1000


def spread(times: list[tuple[float, float]]) -> dict[str, Any]:
    """Median, nine tenths and the longest, in ms."""
    found: dict[str, Any] = {"hovers": len(times)}
    for name, each in zip(("first token", "whole"), zip(*times, strict=True), strict=True):
        ordered = sorted(each)
        found[f"{name}, median, 90 %, longest"] = [
            round(ordered[int(share * (len(ordered) - 1))], 1) for share in (0.5, 0.9, 1.0)
        ]
    return found
