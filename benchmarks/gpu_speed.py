"""How fast the torch engine is on this GPU.

    python -m benchmarks.gpu_speed PART … --model FOLDER --out results.json

Parts: ceilings, single, many, queue, nf4, startup, profile. Without ``--model`` a random model of the Qwen2.5-1.5B
shape is made: speed does not depend on the values. Prompts are random tokens, so that nothing is shared.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_model import save_random_model
from qsum_lsp.engines.protocol import GenerationRequest, Message
from qsum_lsp.engines.torch import TorchEngine, TorchOptions, runner, triton_path
from qsum_lsp.engines.torch.executor import PrefillPart
from qsum_lsp.engines.torch.runner import Runner
from qsum_lsp.engines.torch.sequence import RunningSequence

NEW = 96
WEIGHTS = 3.087e9
KV = 28672
FLOP = 2.62e9


def text_of(length: int, seed: int) -> str:
    """A prompt of ``length`` random tokens of the random model's tokenizer."""
    chance = random.Random(seed)
    return " ".join(f"w{chance.randrange(150000)}" for _ in range(length))


def request(length: int, seed: int, new: int = NEW) -> GenerationRequest:
    """A request of exactly ``length`` prompt tokens."""
    text = text_of(length, seed)
    return GenerationRequest(messages=(Message("user", text),), source=text, max_new_tokens=new)


async def warm(engine: TorchEngine) -> float:
    """Load and optimise; the seconds that took."""
    begun = time.perf_counter()
    await engine.load()
    while engine.warming:
        await asyncio.sleep(0.05)
    return time.perf_counter() - begun


def ceilings() -> dict[str, float]:
    """Copy bandwidth (bytes read and written) and bf16 matrix rate on random data."""
    big = torch.empty(2 << 30, dtype=torch.uint8, device="cuda").random_()
    other = torch.empty_like(big)

    def best(function: Any, repeats: int) -> float:
        function()
        times = []
        for _ in range(repeats):
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            function()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) / 1000)
        return statistics.median(times)

    copy = best(lambda: other.copy_(big), 10)
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    b = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    product = best(lambda: a @ b, 10)
    return {"copy GB/s": 2 * big.numel() / copy / 1e9, "matmul TFLOP/s": 2 * 8192**3 / product / 1e12}


async def single(folder: Path, length: int = 700, **settings: Any) -> dict[str, Any]:
    """One request of ``length`` tokens at a time: first token, decode rate."""
    usual: dict[str, Any] = {"device": "cuda", "speculation": "off", "max_batch": 4}
    engine = TorchEngine(TorchOptions(model=str(folder), **(usual | settings)))
    warm_seconds = await warm(engine)
    first, rates, whole = [], [], []
    for round_ in range(12):
        stamps: list[float] = []
        begun = time.perf_counter()
        done = await engine.generate(
            request(length, 100 + round_), on_text=lambda _, s=stamps: s.append(time.perf_counter())
        )
        whole.append(time.perf_counter() - begun)
        first.append(stamps[0] - begun)
        rates.append((done.new_tokens - 1) / (stamps[-1] - stamps[0]))
    detail = engine.status().detail
    rate = statistics.median(rates[2:])
    peak = torch.cuda.max_memory_allocated()
    await engine.aclose()
    return {
        "engine": detail,
        "decode tok/s": rate,
        "decode GB/s": rate * (WEIGHTS + (length + 50) * KV) / 1e9,
        "first token ms": statistics.median(first[2:]) * 1000,
        "whole ms": statistics.median(whole[2:]) * 1000,
        "peak MB": peak / 1e6,
        "warm-up s": warm_seconds,
    }


async def many(folder: Path, counts: list[int], **settings: Any) -> dict[str, Any]:
    """``counts`` requests at once, each of 200 to 1,200 tokens: sections a second, twice."""
    usual: dict[str, Any] = {"device": "cuda", "speculation": "off", "max_batch": 256}
    engine = TorchEngine(TorchOptions(model=str(folder), **(usual | settings)))
    await warm(engine)
    found: dict[str, Any] = {"engine": engine.status().detail}
    chance = random.Random(3)
    lengths = [chance.randint(200, 1200) for _ in range(max(counts))]
    for count in counts:
        rates = []
        for round_ in range(3 if count <= 256 else 1):
            requests = [request(lengths[n], 1000 * round_ + n + 7) for n in range(count)]
            begun = time.perf_counter()
            done = await asyncio.gather(*(engine.generate(r) for r in requests))
            seconds = time.perf_counter() - begun
            assert all(d.new_tokens == NEW for d in done)
            rates.append(count / seconds)
        total = sum(lengths[:count])
        floor = floor_seconds(lengths[:count])
        found[str(count)] = {
            "sections/s": statistics.median(rates),
            "all": rates,
            "new tok/s": statistics.median(rates) * NEW,
            "prompt tokens": total,
            "floor sections/s": count / floor,
            "share of floor": statistics.median(rates) / (count / floor),
        }
        print(count, found[str(count)], flush=True)
    found["peak MB"] = torch.cuda.max_memory_allocated() / 1e6
    await engine.aclose()
    return found


def floor_seconds(
    lengths: list[int], copy: float = 2.938e12, matmul: float = 798e12, batch: int = 256
) -> float:
    """Prefill at the matrix rate, then every decode step at the copy rate, nothing overlapped."""
    prefill = sum(lengths) * FLOP / matmul
    decode = 0.0
    for begin in range(0, len(lengths), batch):
        context = sum(lengths[begin : begin + batch])
        rows = len(lengths[begin : begin + batch])
        decode += sum((WEIGHTS + KV * (context + rows * step)) / copy for step in range(NEW))
    return prefill + decode


def startup(folder: Path) -> dict[str, Any]:
    """Seconds from the start of the process to the first answer and to full speed, with cold and warm caches."""
    found = {}
    with tempfile.TemporaryDirectory() as home:
        for name in ("cold", "warm"):
            env = os.environ | {"QSUM_HOME": home, "QSUM_BORN": repr(time.time())}
            for variable in ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
                env.pop(variable, None)
            run = subprocess.run(
                [sys.executable, "-m", "benchmarks.gpu_startup", str(folder)],
                env=env, capture_output=True, text=True, check=False, timeout=300,
            )  # fmt: skip
            lines = run.stdout.strip().splitlines()
            found[name] = json.loads(lines[-1]) if lines else run.stderr[-2000:]
    return found


async def profile(folder: Path, rows: int, **settings: Any) -> dict[str, Any]:
    """Where a decode step's time goes, kernel by kernel (microseconds a step)."""
    usual: dict[str, Any] = {"device": "cuda", "speculation": "off", "max_batch": 256}
    engine = TorchEngine(TorchOptions(model=str(folder), **(usual | settings)))
    await warm(engine)
    assert engine._loaded is not None
    executor = engine._loaded.executor
    assert isinstance(executor, Runner)
    await asyncio.gather(*(engine.generate(request(700, n, 4)) for n in range(rows)))
    key = executor.steps.key(rows, 1, 1024, optimised=True)
    executor.steps.capture(key)
    step = executor.steps.get(key)
    state = executor.state
    step.rows.copy_(torch.arange(rows, device="cuda"))
    per_row = 800 // 16 + 1
    for slot in range(rows):
        state.table[slot, :per_row] = torch.arange(per_row, device="cuda").int() + 1 + slot * per_row
    times = []
    for round_ in range(30):
        state.length[:rows] = 750
        state.limit[:rows] = 5000
        state.done[:rows] = 0
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        executor.steps.run(key, step)
        end.record()
        end.synchronize()
        if round_ > 5:
            times.append(start.elapsed_time(end) * 1000)
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    with profiler(activities=[ProfilerActivity.CUDA]) as recorded:
        for _ in range(5):
            state.done[:rows] = 0
            executor.steps.run(key, step)
        torch.cuda.synchronize()
    kernels = {
        event.key[:60]: [round(event.device_time_total / 5, 1), event.count // 5]
        for event in sorted(recorded.key_averages(), key=lambda e: -e.device_time_total)[:14]
    }
    await engine.aclose()
    return {"step us": statistics.median(times), "kernels: us a step, calls": kernels}


async def prefill(folder: Path) -> dict[str, Any]:
    """Prefills of one prompt and of many: time on the host until launched, on the device, TFLOP/s."""
    engine = TorchEngine(TorchOptions(model=str(folder), device="cuda", speculation="off", max_batch=64))
    await warm(engine)
    assert engine._loaded is not None
    executor, tokenizer = engine._loaded.executor, engine._loaded.tokenizer
    assert isinstance(executor, Runner)
    found: dict[str, Any] = {}
    text = text_of(700, 1)
    begun = time.perf_counter()
    for _ in range(10):
        tokenizer.encode_chat((Message("user", text),))
    found["encode 700 tokens ms"] = (time.perf_counter() - begun) * 100
    for name, lengths in {
        "700": [700], "5600": [700] * 8, "8192": [682] * 11 + [690], "8192 reused": [(682, 300)] * 11 + [(690, 300)],
    }.items():  # fmt: skip
        host, device = [], []
        for _ in range(9):
            parts, page = [], 1
            for slot, entry in enumerate(lengths):
                length, start = entry if isinstance(entry, tuple) else (entry, 0)
                sequence = RunningSequence(
                    prompt=[7] * (length + start), limit=length + start + 9, priority=0, on_tokens=lambda _: None,
                    on_finish=lambda _: None, on_failure=lambda _: None, slot=slot,
                    pages=list(range(page, page + 70)),
                )  # fmt: skip
                page += 70
                parts.append(PrefillPart(sequence, start, length + start, first=True))
            torch.cuda.synchronize()
            begun = time.perf_counter()
            start_event, end_event = (
                torch.cuda.Event(enable_timing=True),
                torch.cuda.Event(enable_timing=True),
            )
            start_event.record(executor._prefill_stream)
            pending = executor.prefill(parts)
            host.append(time.perf_counter() - begun)
            end_event.record(executor._prefill_stream)
            pending.wait()
            torch.cuda.synchronize()
            device.append(start_event.elapsed_time(end_event) / 1000)
        tokens = sum(part.end - part.start for part in parts)
        seconds = statistics.median(device[3:])
        found[name] = {
            "host ms": statistics.median(host[3:]) * 1000,
            "device ms": seconds * 1000,
            "TFLOP/s": tokens * FLOP / seconds / 1e12,
        }
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiler

    with profiler(activities=[ProfilerActivity.CUDA]) as recorded:
        executor.prefill(parts).wait()
    found["kernels of the last, us and calls"] = {
        event.key[:70]: [round(event.device_time_total, 1), event.count]
        for event in sorted(recorded.key_averages(), key=lambda e: -e.device_time_total)[:12]
    }
    await engine.aclose()
    return found


async def without_overlap(measured: Any) -> Any:
    """The same with prefills on the decode steps' stream."""
    runner.OVERLAP = False
    try:
        return await measured
    finally:
        runner.OVERLAP = True


async def without_dependent_launch(measured: Any) -> Any:
    """The same with each kernel starting after the one before has ended."""
    real = triton_path.TritonPath.find
    triton_path.TritonPath.find = lambda _: triton_path.TritonPath(dependent=False)  # type: ignore[method-assign,assignment]
    try:
        return await measured
    finally:
        triton_path.TritonPath.find = real  # type: ignore[method-assign]


async def main() -> None:
    """Measure the parts asked for; every part that fails says so and the others go on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    folder = arguments.model or save_random_model(Path(tempfile.gettempdir()) / "qsum-random-1.5b")
    results: dict[str, Any] = {}
    if arguments.out.exists():
        results = json.loads(arguments.out.read_text())
    parts: dict[str, Any] = {
        "ceilings": ceilings,
        "single": lambda: single(folder),
        "single-1500": lambda: single(folder, 1500),
        "single-sdpa": lambda: single(folder, attention="sdpa"),
        "single-eager": lambda: single(folder, compile="off"),
        "single-default": lambda: single(folder, compile="default"),
        "single-reduce": lambda: single(folder, compile="reduce-overhead"),
        "single-autotune": lambda: single(folder, compile="max-autotune"),
        "nf4": lambda: single(folder, quantization="nf4", memory_mib=1620, context_tokens=2048),
        "fp4": lambda: single(folder, quantization="fp4"),
        "int8": lambda: single(folder, quantization="int8"),
        "many": lambda: many(folder, [8, 64, 256]),
        "prefill": lambda: prefill(folder),
        "many-serial": lambda: without_overlap(many(folder, [64, 256])),
        "profile-1-plain": lambda: without_dependent_launch(profile(folder, 1)),
        "queue": lambda: many(folder, [256, 2048]),
        "startup": lambda: startup(folder),
        **{f"profile-{rows}": (lambda rows=rows: profile(folder, rows)) for rows in (1, 8, 64, 256)},
        "profile-nf4": lambda: profile(folder, 1, quantization="nf4"),
    }
    for name in arguments.parts:
        torch.cuda.reset_peak_memory_stats()
        begun = time.perf_counter()
        try:
            found = parts[name]()
            results[name] = await found if asyncio.iscoroutine(found) else found
        except Exception as error:
            results[name] = f"failed: {type(error).__name__}: {error}"[:3000]
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(1.0)
        print(
            name, round(time.perf_counter() - begun, 1), "s", json.dumps(results[name], indent=1), flush=True
        )
        arguments.out.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    with torch.inference_mode():
        asyncio.run(main())
