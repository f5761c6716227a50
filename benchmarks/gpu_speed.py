"""How fast the torch engine is on this GPU.

    python -m benchmarks.gpu_speed PART … --model FOLDER --out results.json

Parts: single, many, queue, nf4, startup, profile and more, named at the end of this file. Without ``--model`` a random model of the Qwen2.5-1.5B
shape is made: speed does not depend on the values. Prompts are random tokens, so that nothing is shared.
"""

import argparse
import asyncio
import contextlib
import gc
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
from unittest.mock import patch

import torch

from benchmarks.gpu_hovers import hovers
from benchmarks.gpu_model import save_random_model
from benchmarks.gpu_profile import Ceilings, device_micros, prefill_work, step_work, table
from benchmarks.gpu_prompts import NEW, request, sections_per_second, text_of
from qsum_lsp.engines.protocol import Message
from qsum_lsp.engines.torch import TorchEngine, TorchOptions, runner, scheduler, triton_path
from qsum_lsp.engines.torch.executor import PrefillPart
from qsum_lsp.engines.torch.sequence import RunningSequence

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
"""On the CPU the figures mean nothing: it shows that the script works."""

WARM_UP_SECONDS = 90
WEIGHTS = 3.087e9
KV = 28672
FLOP = 2.62e9


ENGINES: list[TorchEngine] = []


def open_engine(folder: Path, settings: dict[str, Any]) -> TorchEngine:
    """An engine that ``close_engines`` closes where its part fails."""
    engine = TorchEngine(TorchOptions(model=str(folder), **settings))
    ENGINES.append(engine)
    return engine


async def close_engines() -> None:
    """Close what is still open and forget what was compiled, so that the next part starts as the first did."""
    while ENGINES:
        await ENGINES.pop().aclose()
    if "torch._dynamo" in sys.modules:
        torch._dynamo.reset()
    gc.collect()
    if DEVICE == "cuda":
        torch._C._cuda_clearCublasWorkspaces()  # else a later part with little memory lacks theirs
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.reset_peak_memory_stats()


async def warm(engine: TorchEngine) -> float:
    """Load and optimise; the seconds that took."""
    begun = time.perf_counter()
    await engine.load()
    while engine.warming and time.perf_counter() < begun + WARM_UP_SECONDS:
        await asyncio.sleep(0.05)
    return time.perf_counter() - begun


async def single(folder: Path, length: int = 700, **settings: Any) -> dict[str, Any]:
    """One request of ``length`` tokens at a time: first token, decode rate, memory."""
    usual: dict[str, Any] = {"device": DEVICE, "speculation": "off", "max_batch": 4}
    engine = open_engine(folder, usual | settings)
    warm_seconds = await warm(engine)
    found: dict[str, Any] = {"engine": engine.status().detail, "warm-up s": warm_seconds}
    first, rates, whole = [], [], []
    begun = time.perf_counter()
    try:
        while len(whole) < 12 and (len(whole) < 3 or time.perf_counter() < begun + 12):
            stamps: list[float] = []
            asked = time.perf_counter()
            done = await engine.generate(
                request(length, 100 + len(whole)), on_text=lambda _, s=stamps: s.append(time.perf_counter())
            )
            whole.append(time.perf_counter() - asked)
            first.append(stamps[0] - asked)
            rates.append((done.new_tokens - 1) / (stamps[-1] - stamps[0]))
        rate = statistics.median(rates[2:])
        found |= {
            "engine": engine.status().detail,
            "decode tok/s": rate,
            "decode GB/s": rate * (WEIGHTS + (length + 50) * KV) / 1e9,
            "first token ms": statistics.median(first[2:]) * 1000,
            "whole ms": statistics.median(whole[2:]) * 1000,
            "requests": len(whole),
        }
    except Exception as error:
        found["failed"] = f"{type(error).__name__}: {error}"[:1500]
    found |= memory(engine)
    await engine.aclose()
    return found


def memory(engine: TorchEngine) -> dict[str, Any]:
    """Where the device's memory went, in MB."""
    executor = engine.device_thread.runner
    if DEVICE == "cpu" or executor is None:
        return {}
    stats = torch.cuda.memory_stats()
    buffers = {tensor.data_ptr(): tensor.nbytes for tensor in executor.model.buffers()}
    segments = torch.cuda.memory_snapshot()
    free, total = torch.cuda.mem_get_info()
    parts = {
        "weights": sum(buffers.values()),
        "keys and values": executor.cache.keys.nbytes + executor.cache.values.nbytes,
        "held by recorded steps and prefills": sum(
            segment["total_size"]
            for segment in segments
            if tuple(segment.get("segment_pool_id", (0, 0))) != (0, 0)
        ),
        "reserved, not allocated": stats["reserved_bytes.all.current"] - stats["allocated_bytes.all.current"],
        "reserved": stats["reserved_bytes.all.current"],
        "of the card, all processes": total - free,
    }
    return {
        "peak MB": torch.cuda.max_memory_allocated() / 1e6,
        "peak reserved MB": torch.cuda.max_memory_reserved() / 1e6,
        "memory MB": {name: round(size / 1e6, 1) for name, size in parts.items()},
    }


async def many(
    folder: Path, ceilings: Ceilings, counts: list[int], rounds: int = 6, **settings: Any
) -> dict[str, Any]:
    """``counts`` requests at once, each of 200 to 1,200 tokens: sections a second once sizes have been seen twice."""
    usual: dict[str, Any] = {"device": DEVICE, "speculation": "off", "max_batch": 256}
    engine = open_engine(folder, usual | settings)
    found: dict[str, Any] = {"warm-up s": await warm(engine), "engine": engine.status().detail}
    chance = random.Random(3)
    lengths = [chance.randint(200, 1200) for _ in range(max(counts))]
    for count in counts:
        repeats = range(rounds if count <= 256 else 1)
        rates = [await sections_per_second(engine, lengths[:count], 1000 * n + 7) for n in repeats]
        rate = statistics.median(rates[2:] or rates)
        floor = count / floor_seconds(lengths[:count], ceilings.product, ceilings.copy)
        limited = count / floor_seconds(lengths[:count], ceilings.sustained, ceilings.copy)
        found[str(count)] = {
            "sections/s": rate,
            "all": rates,
            "new tok/s": rate * NEW,
            "prompt tokens": sum(lengths[:count]),
            "floor sections/s": floor,
            "share of floor": rate / floor,
            "floor under the power limit, sections/s": limited,
            "share of that": rate / limited,
        }
        print(count, found[str(count)], flush=True)
    found |= memory(engine)
    await engine.aclose()
    return found


async def hover(folder: Path) -> dict[str, Any]:
    """Hovers alone and beside a batch."""
    engine = open_engine(folder, {"device": DEVICE, "speculation": "off", "max_batch": 256})
    found: dict[str, Any] = {"warm-up s": await warm(engine), "engine": engine.status().detail}
    found |= await hovers(engine)
    await engine.aclose()
    return found


def floor_seconds(lengths: list[int], product: float, copy: float, batch: int = 256) -> float:
    """Prefill at the rate of a large ``product``, then every decode step at that of a ``copy``, nothing overlapped."""
    prefill = sum(lengths) * FLOP / product
    decode = 0.0
    for begin in range(0, len(lengths), batch):
        context = sum(lengths[begin : begin + batch])
        rows = len(lengths[begin : begin + batch])
        decode += sum((WEIGHTS + KV * (context + rows * step)) / copy for step in range(NEW))
    return prefill + decode


def startup(folder: Path, starts: int = 3) -> dict[str, Any]:
    """Stages of ``starts`` process starts, in seconds since each: compile caches are cold for the first alone.

    A start before them, not measured and with caches of its own, leaves PyTorch's bytecode on disk, as installers do.
    """
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        bytecode = Path(temporary, "bytecode")
        start_once(folder, Path(temporary, "before"), bytecode)
        for number in range(1, starts + 1):
            name = f"start {number}, compile caches {'cold' if number == 1 else 'warm'}"
            cold = number == starts  # the last one reads the weights from the disk
            cached = drop_from_page_cache(folder) if cold else None
            found[name] = start_once(folder, Path(temporary, "home"), bytecode)
            if cold and isinstance(found[name], dict):
                found[name]["weights"] = "dropped from the page cache" if cached else "could not be dropped"
            print(name, json.dumps(found[name]), flush=True)
    return found


def start_once(folder: Path, home: Path, bytecode: Path) -> dict[str, Any] | str:
    """What one process start reports, or why it failed.

    Python keeps bytecode beside PyTorch's sources, or in the folder ``bytecode`` where those cannot be written.
    """
    env = os.environ | {"QSUM_HOME": str(home), "QSUM_BORN": repr(time.time())}
    for variable in ("TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "PYTHONDONTWRITEBYTECODE"):
        env.pop(variable, None)
    if not os.access(Path(torch.__file__).parent, os.W_OK):
        env["PYTHONPYCACHEPREFIX"] = str(bytecode)
    command = [sys.executable, "-m", "benchmarks.gpu_startup", str(folder), DEVICE]
    try:
        run = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=100)
    except subprocess.TimeoutExpired as error:
        return f"failed: {error}"
    lines = run.stdout.strip().splitlines()
    if not lines:
        return run.stderr[-2000:]
    report: dict[str, Any] = json.loads(lines[-1])
    return report


def drop_from_page_cache(folder: Path) -> bool:
    """Ask the system to forget the weights' files; False where it cannot be asked."""
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in folder.glob("*.safetensors"):
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)
    return True


async def profile(folder: Path, ceilings: Ceilings, counts: list[int], **settings: Any) -> dict[str, Any]:
    """Where a decode step of each of ``counts`` rows and a prefill go, part by part, beside their floors."""
    usual: dict[str, Any] = {"device": DEVICE, "speculation": "off", "max_batch": max(counts)}
    engine = open_engine(folder, usual | settings)
    await warm(engine)
    executor = engine.device_thread.runner
    assert executor is not None
    state, shape = executor.state, executor.model.shape
    item = {"nf4": 0.5625, "fp4": 0.5625, "int8": 1.0}.get(settings.get("quantization", ""), 2.0)
    found: dict[str, Any] = {"engine": engine.status().detail}
    for rows in counts:
        await asyncio.gather(*(engine.generate(request(700, n, 4)) for n in range(rows)))
        key = executor.steps.key(rows, 1, 1024, optimised=True)
        executor.steps.capture(key)
        step = executor.steps.get(key)
        step.rows.copy_(torch.arange(rows, device=DEVICE))
        per_row = 800 // 16 + 1
        for slot in range(rows):
            state.table[slot, :per_row] = torch.arange(per_row, device=DEVICE).int() + 1 + slot * per_row

        def run(rows: int = rows, key: Any = key, step: Any = step) -> None:
            state.length[:rows] = 750
            state.limit[:rows] = 5000
            state.done[:rows] = 0
            executor.steps.run(key, step)

        found[f"{rows} rows"] = {
            "step us": device_micros(run),
            "parts": table(run, shape, step_work(shape, rows, 750, item), ceilings),
        }
        state.done[:rows] = 1
        print(rows, "rows", json.dumps(found[f"{rows} rows"]), flush=True)
    if not settings and max(counts) >= 64:  # else the cache has no room for it
        lengths = [682] * 11 + [690]
        parts = prefill_parts(lengths)
        for _ in range(4):
            executor.prefill(parts).wait()
        found["prefill of 8,192 tokens"] = table(
            lambda: executor.prefill(parts).wait(),
            shape,
            prefill_work(shape, [(n, n) for n in lengths]),
            ceilings,
        )
        print("prefill", json.dumps(found["prefill of 8,192 tokens"]), flush=True)
    await engine.aclose()
    return found


def prefill_parts(lengths: list[Any]) -> list[PrefillPart]:
    """Whole prompts of ``lengths`` tokens, or the rest of them after what is in the cache: (new, before)."""
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
    return parts


async def prefill(folder: Path, **settings: Any) -> dict[str, Any]:
    """Prefills of one prompt and of many: time on the host until launched, on the device, TFLOP/s."""
    usual: dict[str, Any] = {"device": DEVICE, "speculation": "off", "max_batch": 64}
    engine = open_engine(folder, usual | settings)
    await warm(engine)
    loaded, executor = engine.device_thread.loaded, engine.device_thread.runner
    assert loaded is not None
    assert executor is not None
    found: dict[str, Any] = {}
    text = text_of(700, 1)
    begun = time.perf_counter()
    for _ in range(10):
        loaded.tokenizer.encode_chat((Message("user", text),))
    found["encode 700 tokens ms"] = (time.perf_counter() - begun) * 100
    for name, lengths in {
        "700": [700], "5600": [700] * 8, "8192": [682] * 11 + [690], "8192 reused": [(682, 300)] * 11 + [(690, 300)],
    }.items():  # fmt: skip
        host, device = [], []
        for _ in range(9):
            parts = prefill_parts(lengths)
            if DEVICE == "cpu":
                executor.prefill(parts).wait()
                break
            torch.cuda.synchronize()
            begun = time.perf_counter()
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record(executor._prefill_stream)
            pending = executor.prefill(parts)
            host.append(time.perf_counter() - begun)
            end.record(executor._prefill_stream)
            pending.wait()
            torch.cuda.synchronize()
            device.append(start.elapsed_time(end) / 1000)
        if not device:
            continue
        tokens = sum(part.end - part.start for part in parts)
        seconds = statistics.median(device[3:])
        found[name] = {
            "host ms": statistics.median(host[3:]) * 1000,
            "device ms": seconds * 1000,
            "TFLOP/s": tokens * FLOP / seconds / 1e12,
        }
    await engine.aclose()
    return found


def serial() -> contextlib.AbstractContextManager[Any]:
    """Prefills on the decode steps' stream."""
    return patch.object(runner, "OVERLAP", False)


def at_once() -> contextlib.AbstractContextManager[Any]:
    """Steps go on while prompts are read, for batches too."""
    return patch.object(scheduler.Scheduler, "_filling", lambda _: False)


async def under(change: Any, measured: Any) -> Any:
    """``measured`` while ``change`` holds."""
    with change:
        return await measured


def products_by_cublas() -> contextlib.AbstractContextManager[Any]:
    """Steps of more than 16 rows whose products are cuBLAS's."""
    from qsum_lsp.engines.torch import fast

    return patch.object(fast, "SKINNY_ROWS", 16)


def separate_activation() -> contextlib.AbstractContextManager[Any]:
    """Prefills whose gate and up are cuBLAS's, with the activation after it."""
    from qsum_lsp.engines.torch import fast_prefill

    return patch.object(fast_prefill, "_fuses", lambda *_: False)


def plain_launches() -> contextlib.AbstractContextManager[Any]:
    """Each kernel starts after the one before has ended."""
    plain = triton_path.TritonPath(dependent=False)
    return patch.object(triton_path.TritonPath, "find", lambda _: plain)


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
    some = [64, 256]
    ceilings = Ceilings.measure()
    results["ceilings"] = {
        "copy GB/s": ceilings.copy / 1e9,
        "matmul TFLOP/s": ceilings.product / 1e12,
        "matmul TFLOP/s after a second": ceilings.sustained / 1e12,
    }
    torch.cuda.empty_cache()
    parts: dict[str, Any] = {
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
        "startup": lambda: startup(folder),
        "many": lambda: many(folder, ceilings, [8, 64, 256]),
        "queue": lambda: many(folder, ceilings, [256, 2048], rounds=4),
        "hover": lambda: hover(folder),
        "many-fa2": lambda: many(folder, ceilings, some, attention="flash_attention_2"),
        "many-cublas": lambda: under(products_by_cublas(), many(folder, ceilings, some)),
        "many-serial": lambda: under(serial(), many(folder, ceilings, some)),
        "many-at-once": lambda: under(at_once(), many(folder, ceilings, some)),
        "many-4096": lambda: many(folder, ceilings, some, prefill_tokens=4096),
        "many-16384": lambda: many(folder, ceilings, some, prefill_tokens=16384),
        "prefill": lambda: prefill(folder),
        "prefill-fa2": lambda: prefill(folder, attention="flash_attention_2"),
        "prefill-separate": lambda: under(separate_activation(), prefill(folder)),
        "profile": lambda: profile(folder, ceilings, [8, 64, 256]),
        "profile-cublas": lambda: under(products_by_cublas(), profile(folder, ceilings, [32, 64])),
        "profile-1": lambda: profile(folder, ceilings, [1]),
        "profile-1-plain": lambda: under(plain_launches(), profile(folder, ceilings, [1])),
        "profile-nf4": lambda: profile(folder, ceilings, [1], quantization="nf4"),
    }
    unknown = set(arguments.parts) - set(parts)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    for name in arguments.parts:
        await close_engines()
        begun = time.perf_counter()
        try:
            found = parts[name]()
            results[name] = await found if asyncio.iscoroutine(found) else found
        except Exception as error:
            results[name] = f"failed: {type(error).__name__}: {error}"[:3000]
        print(
            name, round(time.perf_counter() - begun, 1), "s", json.dumps(results[name], indent=1), flush=True
        )
        arguments.out.write_text(json.dumps(results, indent=1))
    await close_engines()


if __name__ == "__main__":
    with torch.inference_mode():
        asyncio.run(main())
