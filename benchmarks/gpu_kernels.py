"""Which cut of each kernel makes a decode step fastest on this card; the winners stand in ``tilings``.

    python -m benchmarks.gpu_kernels --out tilings.json [--rows 1 8 64] [--against OTHER_CHECKOUT] [--seconds 200]

Kernels are compiled by several processes first. Then one kernel after the other tries its candidates inside of whole
recorded steps of the Qwen2.5-1.5B shape, because what counts is how it fits its neighbours. Up to 8 rows share one cut,
so those counts of rows are searched together. Then it is checked that a token's residual has the same bits alone, among
eight rows, and among drafts. ``--against`` measures the steps of another checkout in the same process. The file is
written after every kernel; no candidate is tried after ``--seconds``.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu_model import QWEN_1_5B, tensor_sizes
from benchmarks.gpu_profile import device_micros

LAYERS = 28
CONTEXT = 2048
KNOWN = 750
"""Tokens that each row has when a step is timed."""

PRODUCTS = {  # name: n, k, epilogue
    "out": (1536, 1536, "residual"),
    "qkv": (2048, 1536, "scaled"),
    "gate_up": (8960, 1536, "swiglu"),
    "down": (1536, 8960, "residual"),
    "head": (151936, 1536, "argmax"),
}
ATTENTION_FEW = ((64, 16, 4), (64, 16, 8), (64, 8, 4), (128, 8, 8), (128, 16, 8), (32, 32, 4), (128, 8, 4))
"""Block, splits and warps of the attention of few rows."""


HELD = (
    (16, 4, 128, 3),
    (16, 8, 64, 3),
    (16, 2, 256, 3),
    (16, 4, 64, 3),
    (16, 4, 128, 2),
    (16, 8, 128, 1),
    (32, 8, 64, 3),
)
"""Rows, warps, block and chunks of kernels that hold their weights."""


MANY_SHAPES = {  # warps and rows of a program, for more than 16 rows
    "out": ((4, 16), (4, 32), (4, 64)),
    "qkv": ((4, 16), (4, 32), (4, 64)),
    "down": ((4, 32), (4, 64), (8, 64), (8, 128)),
}


def attention_candidates(m: int) -> list[Any]:
    """Cuts of the attention worth trying for ``m`` rows."""
    from qsum_lsp.engines.torch.tilings import FEW_ROWS, AttentionCut

    if m <= FEW_ROWS:
        return [AttentionCut(*cut) for cut in ATTENTION_FEW]
    usual = max(1, 128 // m)
    cuts = product((32, 64, 128), (usual, 2 * usual, 4 * usual), (2, 4, 8), (2, 3, 4))
    return [
        AttentionCut(block, splits, warps, stages)
        for block, splits, warps, stages in cuts
        if block * stages <= 256 and block >= 16 * warps // 2
    ]


def candidates(name: str, m: int) -> list[Any]:
    """Tilings worth trying for ``m`` rows; none where cuBLAS computes the products."""
    from qsum_lsp.engines.torch.fast import SKINNY_ROWS
    from qsum_lsp.engines.torch.tilings import FEW_ROWS, Tiling

    if m > (FEW_ROWS if name == "gate_up" else SKINNY_ROWS):
        return []
    n, k, epilogue = PRODUCTS[name]
    small = n <= 4096
    if m <= FEW_ROWS and epilogue != "argmax":
        found = [
            Tiling(
                rows=rows, warps=warps, block=block, chunks=chunks, splits=-(-k // (warps * block * chunks))
            )
            for rows, warps, block, chunks in HELD
        ]
        if name == "gate_up":
            found.append(Tiling(rows=64, warps=4, block=64, stages=3))
        return found
    if epilogue == "argmax":
        shapes = (
            (64, 4, 128, 3),
            (64, 4, 128, 5),
            (64, 4, 256, 3),
            (32, 4, 256, 3),
            (32, 1, 128, 3),
            (128, 4, 64, 3),
        )
        return [Tiling(rows=r, warps=w, block=b, stages=s) for r, w, b, s in shapes]
    found = []
    for (warps, rows), block, stages in product(MANY_SHAPES[name], (64, 128), (3, 4, 5)):
        tiles, steps = -(-n // rows), -(-k // block)
        streams = (2 if epilogue == "swiglu" else 1) * rows + m
        if streams * block * 2 * stages > 220_000 or stages * block == 256 or stages * block > 600:
            continue
        for splits in (1, 2, 3, 4, 6, 8, 10, 14) if small else (1,):
            fits = 120 <= tiles * splits <= 288 and steps // splits >= 2 and steps % splits <= splits // 2
            if fits or not small:
                found.append(Tiling(rows=rows, warps=warps, block=block, splits=splits, stages=stages))
    return found


def build(device: torch.device, layers: int) -> Any:
    """A model of the 1.5B shape with random weights."""
    from qsum_lsp.engines.torch.shape import ModelShape
    from qsum_lsp.engines.torch.weights import build_model

    config = QWEN_1_5B | {"num_hidden_layers": layers}
    sizes = tensor_sizes(config)
    shape = ModelShape(
        family="qwen2", layers=layers, hidden=1536, heads=12, kv_heads=2, head_dim=128, intermediate=8960,
        vocabulary=151936, norm_eps=1e-6, rope={"rope_theta": 1e6, "rope_type": "default"}, tied=True,
        context_tokens=32768, saved_dtype="bfloat16",
    )  # fmt: skip

    def get(name: str) -> torch.Tensor:
        if device.type == "cpu":  # only to be compiled for
            return torch.empty(sizes[name], dtype=torch.bfloat16)
        return torch.randn(sizes[name], device=device, dtype=torch.bfloat16) * 0.02 + ("norm" in name)

    return build_model(shape, get, sizes.__contains__, device, "none", CONTEXT)


class Bench:
    """Steps of one model, with any tiling of any kernel."""

    def __init__(self, model: Any, slots: int) -> None:
        from qsum_lsp.engines.torch.model import KvCache
        from qsum_lsp.engines.torch.state import DecodeState

        device = model.device
        self.model = model
        self.state = DecodeState(slots, CONTEXT, (3,), device)
        pages = CONTEXT // 16
        self.cache = KvCache(
            model.shape, 1 + slots * pages if device.type == "cuda" else 2, torch.bfloat16, device
        )
        if device.type == "cuda":
            for each in (self.cache.keys, self.cache.values):
                each.normal_(std=0.5)
            every = torch.randperm(slots * pages, device=device).int() + 1
            self.state.table[:slots] = every.view(slots, pages)
            self.state.history[:slots] = torch.randint(10, 150000, (slots, CONTEXT), device=device).int()
        self.state.done[:] = 0
        self.state.limit[:] = CONTEXT
        self.state.length[:] = KNOWN

    def forward(self, batch: int, queries: int, chosen: dict[str, Any]) -> Any:
        """A forward pass whose kernels are cut as ``chosen`` says."""
        from qsum_lsp.engines.torch import fast

        if not chosen:  # as they stand; other checkouts may not know these names
            return fast.FastForward(self.model, self.cache, self.state, batch, queries, dependent=True)
        usual, attention = fast.choose_tiling, fast.choose_attention

        def choose(n: int, k: int, rows: int, epilogue: str, kind: str) -> Any:
            for name, wanted in PRODUCTS.items():
                if (n, k, epilogue) == wanted and name in chosen:
                    return chosen[name]
            return usual(n, k, rows, epilogue, kind)  # type: ignore[arg-type]

        fast.choose_tiling = choose  # type: ignore[assignment]
        if "attention" in chosen:
            fast.choose_attention = lambda *_: chosen["attention"]
        try:
            return fast.FastForward(self.model, self.cache, self.state, batch, queries, dependent=True)
        finally:
            fast.choose_tiling, fast.choose_attention = usual, attention

    def step(self, batch: int, queries: int, chosen: dict[str, Any]) -> Any:
        """A decode step around that."""
        from qsum_lsp.engines.torch.fast import FastStep
        from qsum_lsp.engines.torch.speculation import PromptLookup

        drafter = PromptLookup(self.state, context=CONTEXT) if queries > 1 else None
        step = FastStep(
            self.state, self.forward(batch, queries, chosen), batch=batch, queries=queries, drafter=drafter,
            dependent=True,
        )  # fmt: skip
        step.rows.copy_(torch.arange(batch, device=self.model.device))
        return step

    def micros(
        self, batch: int, queries: int, chosen: dict[str, Any], *, repeats: int = 15, without: str = ""
    ) -> float:
        """Microseconds of one recorded step, perhaps ``without`` one of its kernels."""
        from qsum_lsp.engines.torch.graphs import record

        step = self.step(batch, queries, chosen)
        step.run()
        if without == "attention":  # what it wrote just now stands in for it
            step.forward._attend = lambda *_: None
        elif without == "gate_up":
            step.forward._gate_up = lambda _: None
        elif without:
            real = step.forward._product
            step.forward._product = lambda name, *rest, **named: name == without or real(name, *rest, **named)
        graph = record(step.run, None, torch.cuda.Stream())
        self.state.length[:] = KNOWN
        micros = device_micros(graph.replay, repeats, skipped=3)
        self.state.done[:] = 0
        return micros


def use_checkout(folder: Path) -> None:
    """Import ``qsum_lsp`` from ``folder`` from now on."""
    for name in [name for name in sys.modules if name.split(".")[0] == "qsum_lsp"]:
        del sys.modules[name]
    sys.path.insert(0, str(folder))


def compile_some(share: list[tuple[int, int, dict[str, Any]]], checkout: Path | None = None) -> float:
    """Compile kernels for this card without using it, whole steps where no kernel is chosen; the seconds it took."""
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver, jit

    class NoDevice:
        def get_current_target(self) -> GPUTarget:
            return GPUTarget("cuda", 90, 32)

        def get_current_device(self) -> int:
            return 0

        def get_current_stream(self, _device: int = 0) -> int:
            return 0

    begun = time.monotonic()
    if checkout is not None:
        use_checkout(checkout)
    driver.set_active(NoDevice())
    real = jit.JITFunction.run
    if real.__name__ != "only_compile":

        def only_compile(self: Any, *values: Any, **named: Any) -> Any:
            return real(self, *values, **(named | {"grid": (1,), "warmup": True}))

        jit.JITFunction.run = only_compile  # type: ignore[method-assign]
    torch.set_num_threads(1)
    with torch.inference_mode():
        bench = Bench(build(torch.device("cpu"), 1), 64)
        for batch, queries, chosen in share:
            try:
                if len(chosen) == 1:
                    _compile_one(bench, bench.forward(batch, queries, chosen), next(iter(chosen)))
                else:
                    bench.step(batch, queries, chosen).run()
            except Exception as error:
                print("does not compile:", batch, queries, chosen, repr(error)[-300:], flush=True)
    return time.monotonic() - begun


def _compile_one(bench: Bench, forward: Any, name: str) -> None:
    layer, work = bench.model.layers[0], forward.buffers
    if name == "attention":
        forward._attend(0, layer, bench.state.length.long(), 0, work.qkv)
        return
    source = {"out": work.attended, "down": work.activation}.get(name, work.h)
    target = {"gate_up": work.activation, "head": forward._best}.get(name)
    weight = bench.model.head if name == "head" else getattr(layer, name)
    forward._product(name, weight, source, PRODUCTS[name][2], out=target, norm="out", gain=layer.post_norm)


def same_bits(bench: Bench, chosen: dict[str, Any]) -> dict[str, int]:
    """How many residuals and picks of eight rows, and of eight drafts, differ from the same alone."""
    state, device = bench.state, bench.model.device
    lengths = [1, 63, 64, 66, 129, 750, 1023, 1500]
    state.length[:8] = torch.tensor(lengths, dtype=torch.int32, device=device)
    rows = torch.arange(8, device=device)

    def tokens(row: int, ahead: int) -> torch.Tensor:
        return state.history[row, lengths[row] - 1 + ahead].long().view(1, 1)

    every = torch.cat([tokens(row, 0) for row in range(8)])
    eight, one, drafts = (bench.forward(b, q, chosen) for b, q in ((8, 1), (1, 1), (1, 8)))
    picked = eight(rows, every, every).clone()
    residual = eight.buffers.x.clone()
    found = {"rows": 0, "drafts": 0, "picks": 0}
    for row in range(8):
        alone = one(rows[row : row + 1], every[row : row + 1], every)
        found["rows"] += int((one.buffers.x[0] != residual[row]).any())
        found["picks"] += int((alone != picked[row]).any())
    for row in range(8):
        several = torch.cat([tokens(row, ahead) for ahead in range(8)], dim=1)
        state.length[row] = lengths[row]
        picked = drafts(rows[row : row + 1], several, several).clone()
        residual = drafts.buffers.x.clone()
        for ahead in range(8):
            state.length[row] = lengths[row] + ahead
            alone = one(rows[row : row + 1], tokens(row, ahead), every)
            found["drafts"] += int((one.buffers.x[0] != residual[ahead]).any())
            found["picks"] += int((alone[0, 0] != picked[0, ahead]).any())
    state.length[:] = KNOWN
    return found


Step = tuple[int, int]
"""Rows and tokens of each."""


class Search:
    """What was tried so far, written to ``out`` each time more is known."""

    def __init__(self, bench: Bench, out: Path, until: float) -> None:
        self.bench, self.out, self.until = bench, out, until
        self.results: dict[str, Any] = {"tried": []}

    def note(self, **found: Any) -> None:
        """Keep and print a finding."""
        self.results |= found
        self.out.write_text(json.dumps(self.results, indent=1))
        for name, value in found.items():
            print(name, json.dumps(value), flush=True)

    def keep(self, name: str, measure: Callable[[], Any]) -> None:
        """Keep what ``measure`` gives, or why it fails."""
        try:
            found = measure()
        except Exception as error:
            found = f"failed: {error!r}"[:400]
        self.note(**{name: found})

    def times(
        self, steps: list[Step], chosen: dict[str, Any], *, without: str = ""
    ) -> dict[str, float | str]:
        """Microseconds of each of ``steps``; in place of one that fails stands why."""
        found: dict[str, float | str] = {}
        for batch, queries in steps:
            try:
                found[f"{batch}x{queries}"] = round(
                    self.bench.micros(batch, queries, chosen, without=without), 1
                )
            except Exception as error:
                found[f"{batch}x{queries}"] = repr(error)[:200]
        return found

    def run(self, steps: list[Step], tried: dict[str, list[Any]]) -> dict[str, Any]:
        """One kernel after the other keeps the candidate with which ``steps`` together are fastest."""
        chosen: dict[str, Any] = {}
        best = self._sum(steps, chosen)
        for name, options in tried.items():
            found = []
            for option in options:
                if time.monotonic() > self.until:
                    print("no time left for", name, flush=True)
                    break
                times = self.times(steps, chosen | {name: option})
                self.results["tried"].append({"kernel": name, "cut": repr(option), "us": times})
                numbers = [value for value in times.values() if isinstance(value, float)]
                if len(numbers) == len(steps):
                    found.append((sum(numbers), option, times))
                else:
                    print("fails:", name, option, times, flush=True)
            found.sort(key=lambda entry: entry[0])
            for total, option, times in found[:3]:
                print(f"{name:9} {times} {option}", flush=True)
                if total < best:
                    best, chosen[name] = total, option
            self.note(**{f"chosen for {steps}": {key: repr(value) for key, value in chosen.items()}})
        return chosen

    def _sum(self, steps: list[Step], chosen: dict[str, Any]) -> float:
        return sum(value for value in self.times(steps, chosen).values() if isinstance(value, float))

    def shares(self, steps: list[Step], chosen: dict[str, Any]) -> dict[str, Any]:
        """What each kernel adds to the steps: their time without it."""
        return {name: self.times(steps, chosen, without=name) for name in (*PRODUCTS, "attention")}


def products_alone(bench: Bench, rows: int, chosen: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Microseconds and GB/s of each product of ``rows`` rows, one layer after the other: own kernels, then cuBLAS."""
    from qsum_lsp.engines.torch.graphs import record

    forward, work = bench.forward(rows, 1, chosen), bench.forward(rows, 1, chosen).buffers
    found: dict[str, dict[str, float]] = {}
    for name, (_, k, epilogue) in PRODUCTS.items():
        layers = list(bench.model.layers) if name != "head" else [bench.model]
        weights = [getattr(layer, name) for layer in layers]
        source = {"out": work.attended, "down": work.activation}.get(name, work.h)
        target = {"gate_up": work.activation, "head": forward._best}.get(name)
        gain = bench.model.norm
        dense = torch.randn(rows, k, device=bench.model.device, dtype=torch.bfloat16)

        def own(call: partial[None], weights: list[Any] = weights) -> None:
            for weight in weights:
                call(weight)

        def cublas(weights: list[Any] = weights, dense: torch.Tensor = dense) -> None:
            for weight in weights:
                weight(dense)

        def one(weight: Any, *, name: str, source: Any, epilogue: str, **named: Any) -> None:
            forward._product(name, weight, source, epilogue, **named)

        call = partial(one, name=name, source=source, epilogue=epilogue, out=target, norm="out", gain=gain)
        for kind, launch in (("own", partial(own, call)), ("cuBLAS", cublas)):
            launch()
            graph = record(launch, None, torch.cuda.Stream())
            micros = device_micros(graph.replay, 15, skipped=3) / len(weights)
            read = weights[0].weight.numel() * 2
            found.setdefault(name, {})[f"{kind} us"] = round(micros, 2)
            found[name][f"{kind} GB/s"] = round(read / micros / 1000)
    return found


FEW: list[Step] = [(1, 1), (8, 1), (1, 8)]
MORE: list[Step] = [(1, 16), (2, 8), (2, 1), (16, 1)]


def against(checkout: Path, slots: int) -> dict[str, Any]:
    """Steps of another checkout, with weights of the same kind; afterwards the modules are this checkout's again."""
    here = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "qsum_lsp"}
    use_checkout(checkout)
    try:
        bench = Bench(build(torch.device("cuda"), LAYERS), slots)
        steps = [step for step in (*FEW, (2, 8), (64, 1)) if step[0] <= slots]
        return {f"{b}x{q}": round(bench.micros(b, q, {}), 1) for b, q in steps}
    except Exception as error:
        return {"failed": repr(error)[:300]}
    finally:
        sys.path.remove(str(checkout))
        for name in [name for name in sys.modules if name.split(".")[0] == "qsum_lsp"]:
            del sys.modules[name]
        sys.modules.update(here)


def main() -> None:
    """Compile, search, check."""
    begun = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", nargs="*", type=int, default=[1, 8, 64])
    parser.add_argument("--against", type=Path)
    parser.add_argument("--seconds", type=float, default=200)
    parser.add_argument("--only-compile", action="store_true", help="needs no GPU")
    arguments = parser.parse_args()
    from qsum_lsp.engines.torch.fast import SKINNY_ROWS

    few = [step for step in FEW if step[0] in arguments.rows]
    many = [(rows, 1) for rows in arguments.rows if rows > 16]
    tried: dict[int, dict[str, list[Any]]] = {
        rows: {"attention": attention_candidates(rows)} | {n: candidates(n, rows) for n in PRODUCTS}
        for rows, _ in many
    }
    if few:
        tried[8] = {name: candidates(name, 8) for name in PRODUCTS} | {"attention": attention_candidates(8)}
    jobs: list[tuple[int, int, dict[str, Any]]] = [
        (b, q, {}) for b, q in (*few, *many, *(MORE if few else [])) if b * q <= SKINNY_ROWS
    ]
    for rows, kinds in tried.items():
        for name, options in kinds.items():
            jobs += [(rows, 1, {name: option}) for option in options]
            if rows == 8 and name == "attention":
                jobs += [(1, 8, {name: option}) for option in options]
    workers = max(1, (os.cpu_count() or 2) - 1)
    pool = multiprocessing.get_context("spawn").Pool(workers)
    others = multiprocessing.get_context("spawn").Pool(1)
    theirs = None
    if arguments.against:
        steps = [(b, q, {}) for b, q in (*few, *many, *([(2, 8)] if few else []))]
        theirs = others.apply_async(compile_some, (steps, arguments.against))
    compiled = pool.map_async(compile_some, [jobs[share::workers] for share in range(workers)], chunksize=1)
    if arguments.only_compile:
        print(compiled.get(), theirs.get() if theirs else "", len(jobs), "compiled", flush=True)
        return
    bench = Bench(build(torch.device("cuda"), LAYERS), max(arguments.rows))
    compiled.get()
    search = Search(bench, arguments.out, begun + arguments.seconds)
    search.note(
        device=torch.cuda.get_device_name(), compiled=len(jobs), seconds=round(time.monotonic() - begun, 1)
    )
    if theirs:
        theirs.get()
        search.note(**{"other checkout, us": against(arguments.against, max(arguments.rows))})
        torch.cuda.empty_cache()
    search.note(**{"as it stands, us": search.times([*few, *many], {})})
    if few:
        chosen = search.run(few, tried[8])
        steps = [step for step in (*FEW, *MORE) if step[0] <= max(arguments.rows)]
        pool.map(compile_some, [[(b, q, chosen)] for b, q in steps], chunksize=1)
        search.note(**{"best few-row cut, us": search.times(steps, chosen)})
        for name, cut in (("as it stands", {}), ("best", chosen)):
            search.keep(f"differ, {name}", partial(same_bits, bench, cut))
        search.note(**{"best few-row cut without a kernel, us": search.shares(few, chosen)})
        search.keep("products alone, 8 rows", partial(products_alone, bench, 8, chosen))
    for rows, _ in many:
        from qsum_lsp.engines.torch import fast

        chosen = search.run([(rows, 1)], tried[rows])
        search.note(**{f"best of {rows} rows, us": search.times([(rows, 1)], chosen)})
        search.note(**{f"{rows} rows without a kernel, us": search.shares([(rows, 1)], chosen)})
        search.keep(f"products alone, {rows} rows", partial(products_alone, bench, rows, chosen))
        fast.SKINNY_ROWS = 16
        search.note(**{f"{rows} rows, products by cuBLAS, us": search.times([(rows, 1)], {})})
        fast.SKINNY_ROWS = 64
    search.note(**{"seconds in all": round(time.monotonic() - begun, 1)})
    print("\nSUMMARY", flush=True)
    for name, value in search.results.items():
        if name != "tried":
            print(f"{name}: {json.dumps(value)}", flush=True)
    pool.terminate()
    others.terminate()


if __name__ == "__main__":
    with torch.inference_mode():
        main()
