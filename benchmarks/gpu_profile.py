"""Where the device's time goes, part by part, beside what the bytes and operations of each part need at least."""

import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from qsum_lsp.engines.torch.shape import ModelShape

ATTENTION_NAMES = ("attend", "flash", "fmha")
PRODUCT_NAMES = ("skinny", "swiglu", "gemv", "held", "nvjet", "gemm", "cutlass", "xmma")
SUSTAINED_SECONDS = 1.0
IN_LAYER = ("qkv", "out", "gate_up", "down")
SMALL = {
    "silu_mul": "silu·mul",
    "add_norm": "norms",
    "rotate_and_store": "rotation",
    "gather": "gathers",
    "index": "gathers",
    "Memset": "memsets",
    "Memcpy": "copies",
}


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Bytes a second, read and written, that a large copy moves; operations a second of a large bf16 product.

    ``sustained`` is the product's rate after a second of it, when the card's power limit has lowered its clock.
    """

    copy: float
    product: float
    sustained: float

    @classmethod
    def measure(cls) -> "Ceilings":
        """Those of this GPU, on random data; of a CPU, where no figure means anything, round numbers."""
        if not torch.cuda.is_available():
            return cls(copy=1e10, product=1e11, sustained=1e11)
        big = torch.empty(2 << 30, dtype=torch.uint8, device="cuda").random_()
        other = torch.empty_like(big)
        a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
        copied = device_micros(lambda: other.copy_(big), 11, skipped=1) / 1e6
        multiplied = device_micros(lambda: a @ b, 11, skipped=1) / 1e6
        many = 2 * int(SUSTAINED_SECONDS / multiplied)
        sustained = device_micros(lambda: a @ b, many, skipped=many // 2) / 1e6
        work = 2 * 8192**3
        return cls(2 * big.numel() / copied, work / multiplied, work / sustained)


def device_micros(run: Callable[[], object], repeats: int = 30, *, skipped: int = 5) -> float:
    """Median µs of ``run`` on the device, without the first ``skipped``; 0 without a GPU."""
    if not torch.cuda.is_available():
        run()
        return 0.0
    times = []
    for _ in range(repeats):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1000)
    return statistics.median(times[skipped:])


@dataclass(frozen=True, slots=True)
class Work:
    """The least that a part must do: bytes moved, operations."""

    moved: float
    operations: float = 0.0

    def micros(self, ceilings: Ceilings) -> float:
        """The longer of the two at the card's measured rates."""
        return max(self.moved / ceilings.copy, self.operations / ceilings.product) * 1e6


def events_of(run: Callable[[], object]) -> list[tuple[str, float, float]]:
    """Name, begin and end (µs) of all that the device did during ``run``."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as recorded:
        run()
        torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        recorded.export_chrome_trace(str(path))
        trace = json.loads(path.read_text(encoding="utf-8"))
    found = [
        (event["name"], float(event["ts"]), float(event["ts"]) + float(event["dur"]))
        for event in trace["traceEvents"]
        if event.get("cat") in ("kernel", "gpu_memset", "gpu_memcpy")
    ]
    return sorted(found, key=lambda event: event[1])


def parts_of(events: Sequence[tuple[str, float, float]], layers: int) -> dict[str, tuple[float, int]]:
    """µs and calls of each part of one pass over the model.

    A kernel may start while the one before still runs; only the time by which it ends later counts as its own, so
    that the parts add up to the whole. Products are told apart by their order.
    """
    found: dict[str, tuple[float, int]] = {}
    products = 0
    done = events[0][1] if events else 0.0
    for name, _, end in events:
        if any(word in name for word in ATTENTION_NAMES):
            part = "attention"
        elif any(word in name for word in PRODUCT_NAMES) and "reduce" not in name.lower():
            part = IN_LAYER[products % 4] if products < 4 * layers else "head"
            products += 1
        else:
            part = next((kind for word, kind in SMALL.items() if word in name), "other")
        micros, calls = found.get(part, (0.0, 0))
        found[part] = micros + max(0.0, end - done), calls + 1
        done = max(done, end)
    return found


def step_work(
    shape: ModelShape, rows: int, known: int, item: float = 2.0, *, counted: int = 1
) -> dict[str, Work]:
    """What one decode step of ``rows`` must do at least; ``item`` bytes a weight of the layers, ``known`` tokens a row."""
    width = shape.q_size + 2 * shape.kv_size
    sizes = {
        "qkv": (width, shape.hidden), "out": (shape.hidden, shape.q_size),
        "gate_up": (2 * shape.intermediate, shape.hidden), "down": (shape.hidden, shape.intermediate),
    }  # fmt: skip
    found = {
        name: Work(shape.layers * (n * k * item + rows * (n + k) * 2), shape.layers * 2.0 * rows * n * k)
        for name, (n, k) in sizes.items()
    }
    found["head"] = Work(shape.vocabulary * shape.hidden * 2, 2.0 * counted * shape.vocabulary * shape.hidden)
    found["attention"] = Work(
        shape.layers * rows * known * 4 * shape.kv_size, shape.layers * rows * known * 4 * shape.q_size
    )
    return found


def prefill_work(shape: ModelShape, lengths: Sequence[tuple[int, int]]) -> dict[str, Work]:
    """What a prefill must do at least; new tokens and all tokens of each sequence."""
    tokens = sum(new for new, _ in lengths)
    found = step_work(shape, tokens, 0, counted=len(lengths))
    seen = sum(new * (whole - new / 2) for new, whole in lengths)
    moved = shape.layers * tokens * (2 * shape.q_size + 2 * shape.kv_size) * 2
    found["attention"] = Work(moved, shape.layers * seen * 4 * shape.q_size)
    found["norms"] = Work(2 * shape.layers * tokens * 4 * shape.hidden * 2)
    found["rotation"] = Work(shape.layers * tokens * 2 * (shape.q_size + 2 * shape.kv_size) * 2)
    return found


def table(
    run: Callable[[], object], shape: ModelShape, work: dict[str, Work], ceilings: Ceilings, repeats: int = 5
) -> dict[str, Any]:
    """Parts of ``run``, medians over ``repeats``: µs, calls, the floor in µs and how much of the time it is."""
    runs = [parts_of(events_of(run), shape.layers) for _ in range(repeats)]
    runs = [found for found in runs if found]
    if not runs:
        return {"failed": "the profiler saw nothing"}
    rows: dict[str, Any] = {}
    for part in sorted(runs[0], key=lambda part: -runs[0][part][0]):
        micros = statistics.median(found.get(part, (0.0, 0))[0] for found in runs)
        rows[part] = {"us": round(micros, 1), "calls": runs[0][part][1]}
        if part in work:
            floor = work[part].micros(ceilings)
            rows[part]["floor us"] = round(floor, 1)
            rows[part]["share"] = round(floor / micros, 2) if micros else None
    rows["all"] = {
        "us": round(statistics.median(sum(us for us, _ in found.values()) for found in runs), 1),
        "floor us": round(sum(each.micros(ceilings) for each in work.values()), 1),
    }
    return rows
