"""Which tiling of each matrix product is fastest on this card; the winners stand in ``fast.choose_tiling``.

    python -m benchmarks.gpu_kernels --out tilings.json

Kernels are compiled by several processes first; then each candidate runs over the weights of all layers, so that
none of them is in the L2 cache, inside a CUDA graph, as in a decode step.
"""

import argparse
import itertools
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_model import QWEN_1_5B, tensor_sizes

ROWS = (1, 8, 64)
PRODUCTS = {  # name: n, k, epilogue, copies that exceed the L2 cache
    "qkv": (2048, 1536, "scaled", 28),
    "out": (1536, 1536, "residual", 28),
    "gate_up": (8960, 1536, "swiglu", 6),
    "down": (1536, 8960, "residual", 8),
    "head": (151936, 1536, "argmax", 1),
}


def candidates(name: str, m: int, kind: str) -> list[Any]:
    """Tilings worth trying for ``m`` rows."""
    from qsum_lsp.engines.torch.fast import Tiling

    n, k, _, _ = PRODUCTS[name]
    if m == 1:
        rows = (1, 2) if k > 4096 else (4, 8, 16) if name == "head" else (1, 2, 4)
        return [Tiling(rows=r, warps=w) for r, w in itertools.product(rows, (1, 2, 4, 8))]
    found = []
    for r, b, s in itertools.product((16, 32, 64, 128), (64, 128, 256), (3, 5)):
        halves = 2 if name == "gate_up" else 1
        shared = s * b * 2 * (r * halves + max(16, m))
        if (
            shared > 200_000
            or (r == 16 and n > 4096)
            or (r == 128 and n < 4096)
            or (kind != "dense" and s == 5)
        ):
            continue
        splits = (
            {1}
            if n > 4096
            else {p for p in (1, 2, 3, 4, 6, 8) if 132 <= -(-n // r) * p <= 600 and k // p >= b}
        )
        found += [Tiling(rows=r, warps=4, block=b, splits=p, stages=s) for p in sorted(splits)]
    return found


def build(device: torch.device, kind: str) -> Any:
    """A one-layer model of the 1.5B shape on ``device``."""
    from qsum_lsp.engines.torch.shape import ModelShape
    from qsum_lsp.engines.torch.weights import build_model

    config = QWEN_1_5B | {"num_hidden_layers": 1}
    sizes = tensor_sizes(config)
    shape = ModelShape(
        family="qwen2", layers=1, hidden=1536, heads=12, kv_heads=2, head_dim=128, intermediate=8960,
        vocabulary=151936, norm_eps=1e-6, rope={"rope_theta": 1e6, "rope_type": "default"}, tied=True,
        context_tokens=32768, saved_dtype="bfloat16",
    )  # fmt: skip

    def get(name: str) -> torch.Tensor:
        if device.type == "cpu":  # only to be compiled for
            return torch.zeros(sizes[name], dtype=torch.bfloat16)
        return torch.randn(sizes[name], device=device, dtype=torch.bfloat16) * 0.02

    return build_model(shape, get, sizes.__contains__, device, kind, 1024)


def runner(model: Any, name: str, m: int, tiling: Any, *, dependent: bool) -> Any:
    """A forward pass whose product ``name`` is cut by ``tiling``, and the call that runs that product alone."""
    from qsum_lsp.engines.torch import fast
    from qsum_lsp.engines.torch.model import KvCache
    from qsum_lsp.engines.torch.state import DecodeState

    device = model.device
    state = DecodeState(m, 64, (3,), device)
    cache = KvCache(model.shape, 2, torch.bfloat16, device)
    usual = fast.choose_tiling

    def choose(n: int, k: int, rows: int, epilogue: str, kind: str) -> Any:
        wanted = PRODUCTS[name]
        return tiling if (n, k, epilogue) == wanted[:3] else usual(n, k, rows, epilogue, kind)  # type: ignore[arg-type]

    fast.choose_tiling = choose  # type: ignore[assignment]
    try:
        forward = fast.FastForward(model, cache, state, m, 1, dependent=dependent)
    finally:
        fast.choose_tiling = usual
    work, layer = forward.buffers, model.layers[0]
    source = {"out": work.attended, "down": work.activation}.get(name, work.h)
    target = {"qkv": work.qkv, "gate_up": work.activation, "head": forward._best}.get(name)

    def run(weight: Any) -> None:
        forward._product(
            name, weight, source, PRODUCTS[name][2], out=target, norm="out", gain=layer.post_norm
        )

    for buffer in (work.h, work.attended, work.activation):
        buffer.normal_()
    work.x.zero_()
    forward._ssq.fill_(1.0)
    return run


def compile_some(share: list[tuple[str, str, int, Any]]) -> None:
    """Compile kernels for this card without using it."""
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver, jit

    class NoDevice:
        def get_current_target(self) -> GPUTarget:
            return GPUTarget("cuda", 90, 32)

        def get_current_device(self) -> int:
            return 0

        def get_current_stream(self, _device: int = 0) -> int:
            return 0

    driver.set_active(NoDevice())
    real = jit.JITFunction.run

    def only_compile(self: Any, *values: Any, **named: Any) -> Any:
        return real(self, *values, **(named | {"grid": (1,), "warmup": True}))

    jit.JITFunction.run = only_compile  # type: ignore[method-assign]
    torch.set_num_threads(1)
    models: dict[str, Any] = {}
    for kind, name, m, tiling in share:
        if kind not in models:
            models[kind] = build(torch.device("cpu"), kind)
        weight = _weights(models[kind])[name]
        try:
            runner(models[kind], name, m, tiling, dependent=True)(weight)
        except Exception as error:
            print("does not compile:", name, m, tiling, str(error)[-200:], flush=True)


def _weights(model: Any) -> dict[str, Any]:
    layer = model.layers[0]
    return {
        "qkv": layer.qkv,
        "out": layer.out,
        "gate_up": layer.gate_up,
        "down": layer.down,
        "head": model.head,
    }


def measure(model: Any, name: str, m: int, tiling: Any) -> float:
    """Microseconds of one product, its launch included, in a graph of many."""
    import copy

    run = runner(model, name, m, tiling, dependent=True)
    weight = _weights(model)[name]
    copies = [copy.deepcopy(weight) for _ in range(PRODUCTS[name][3])]
    for each in copies:
        run(each)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    repeats = max(1, 28 // len(copies))
    with torch.cuda.graph(graph):
        for _ in range(repeats):
            for each in copies:
                run(each)
    times = []
    for _ in range(7):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1000 / (repeats * len(copies)))
    return sorted(times)[3]


def main() -> None:
    """Compile, measure, print the best three of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--formats", nargs="*", default=["none"])
    parser.add_argument("--rows", nargs="*", type=int, default=list(ROWS))
    arguments = parser.parse_args()
    jobs = [
        (kind, name, m, tiling)
        for kind in arguments.formats
        for name in PRODUCTS
        for m in arguments.rows
        for tiling in candidates(name, m, "dense" if kind == "none" else kind)
        if kind == "none" or name != "head"
    ]
    workers = max(1, (os.cpu_count() or 2) - 2)
    context = multiprocessing.get_context("spawn")
    with context.Pool(workers) as pool:
        pool.map(compile_some, [jobs[share::workers] for share in range(workers)], chunksize=1)
    results: list[dict[str, Any]] = []
    models = {kind: build(torch.device("cuda"), kind) for kind in arguments.formats}
    for kind, name, m, tiling in jobs:
        weight = _weights(models[kind])[name]
        size = sum(buffer.numel() * buffer.element_size() for buffer in weight.buffers())
        try:
            micros = measure(models[kind], name, m, tiling)
        except Exception as error:
            print("fails:", kind, name, m, tiling, str(error)[:200], flush=True)
            continue
        results.append(
            {
                "format": kind,
                "product": name,
                "rows": m,
                "tiling": repr(tiling),
                "us": micros,
                "gbs": size / micros / 1e3,
            }
        )
    arguments.out.write_text(json.dumps(results, indent=1))
    for kind, name, m in sorted({(r["format"], r["product"], r["rows"]) for r in results}):
        own = sorted(
            (r for r in results if (r["format"], r["product"], r["rows"]) == (kind, name, m)),
            key=lambda r: r["us"],
        )
        for best in own[:3]:
            print(f"{kind:5} {name:8} {m:3} {best['us']:8.2f} us {best['gbs']:7.0f} GB/s {best['tiling']}")


if __name__ == "__main__":
    main()
