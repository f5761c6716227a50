"""Does a prefill gain by computing its gate and up products and their SwiGLU in one kernel?

    python -m benchmarks.gpu_swiglu --out swiglu.json [--only NAME ...] [--only-compile]

Candidates are fused kernels for Hopper: Triton's own pipelines, kernels whose warps have roles (Gluon), and pairs of
those, which share what they load of the weight. They are compiled and checked by a process each, against float32 on
some rows and against cuBLAS followed by ``silu_mul`` on all, also for a count of tokens that fills no tile. What is
right is timed against the latter as recorded graphs, for prefills of 8192, 4096, 1536 and 704 tokens of Qwen2.5-1.5B.
``--only-compile`` needs no GPU: it prints what each kernel takes.
"""

# Kernels take their shapes as constants, in capitals, and no types.
# ruff: noqa: N803, N806, PLR0917, RUF005
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import argparse
import json
import multiprocessing
import os
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import triton
import triton.language as tl
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia import hopper
from triton.experimental.gluon.nvidia.hopper import TensorDescriptor as GluonDescriptor
from triton.tools.tensor_descriptor import TensorDescriptor

from qsum_lsp.engines.torch.kernels.elementwise import silu_mul

HIDDEN = 1536
SIZE = 8960
TOKENS = (8192, 4096, 1536, 704)
CHECKED = (333, 1536)
"""Tokens of the first checks: a count that fills no tile of any candidate, and one of many tiles a program."""
PATIENCE = 45.0
"""Seconds until a candidate that has not been compiled and checked is left out."""
SEPARATE = "cuBLAS and silu_mul"
PROGRAMS = 132
"""Multiprocessors of an H100 or H200."""
LARGEST_ERROR = 0.03
"""Relative, of values of a size that matters; rounding the gate, the up and their product gives about 0.01."""

SILU_MUL = tl.constexpr("""{
    .reg .f32 t;
    mul.f32 t, $1, 0fBFB8AA3B;
    ex2.approx.ftz.f32 t, t;
    add.f32 t, t, 0f3F800000;
    rcp.approx.ftz.f32 t, t;
    mul.f32 t, t, $1;
    mul.f32 $0, t, $2;
}""")
"""gate / (1 + 2^(-gate · log2 e)) · up, by the two approximations of the special function units."""


@triton.jit
def place_of(tile, height, width, GROUP: tl.constexpr):
    """Row and column of a tile: down GROUP rows of tiles, then the next column; the L2 cache holds what they share."""
    group = tile // (GROUP * width)
    rows = min(height - group * GROUP, GROUP)
    inside = tile - group * GROUP * width
    return group * GROUP + inside % rows, inside // rows


@triton.jit
def fused_triton(
    h, weight, out, KIND: tl.constexpr, ROWS: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr,
    GROUP: tl.constexpr, FLATTEN: tl.constexpr,
):  # fmt: skip
    """Out [T, SIZE] = silu(h @ gate.T) * (h @ up.T), tiles of ROWS x WIDE; every argument is a TMA descriptor.

    The weight's shape and block by KIND: "two" [2 * SIZE, HIDDEN] by [WIDE, BLOCK]; "joined" [2, SIZE, HIDDEN] by
    [2, WIDE, BLOCK]; "woven" [2 * SIZE, HIDDEN], its rows gate and up in turn, by [2 * WIDE, BLOCK].
    """
    height = tl.cdiv(h.shape[0], ROWS)
    width = out.shape[1] // WIDE
    steps = h.shape[1] // BLOCK
    for tile in tl.range(tl.program_id(0), height * width, tl.num_programs(0), flatten=FLATTEN):
        m, n = place_of(tile, height, width, GROUP)
        if KIND == "two":
            gate = tl.zeros((ROWS, WIDE), dtype=tl.float32)
            up = tl.zeros((ROWS, WIDE), dtype=tl.float32)
            for k in range(steps):
                a = h.load([m * ROWS, k * BLOCK])
                gate = tl.dot(a, weight.load([n * WIDE, k * BLOCK]).T, gate)
                up = tl.dot(a, weight.load([out.shape[1] + n * WIDE, k * BLOCK]).T, up)
        else:
            both = tl.zeros((ROWS, 2 * WIDE), dtype=tl.float32)
            for k in range(steps):
                a = h.load([m * ROWS, k * BLOCK])
                if KIND == "joined":
                    b = weight.load([0, n * WIDE, k * BLOCK]).reshape(2 * WIDE, BLOCK)
                else:
                    b = weight.load([n * 2 * WIDE, k * BLOCK])
                both = tl.dot(a, b.T, both)
            if KIND == "joined":
                gate, up = both.reshape(ROWS, 2, WIDE).permute(0, 2, 1).split()
            else:
                gate, up = both.reshape(ROWS, WIDE, 2).split()
        value = tl.inline_asm_elementwise(SILU_MUL, "=f,f,f", [gate, up], tl.float32, is_pure=True, pack=1)
        out.store([m * ROWS, n * WIDE], value.to(tl.bfloat16))


@gluon.jit
def gluon_place_of(tile, height, width, GROUP: gl.constexpr):
    """As ``place_of``."""
    group = tile // (GROUP * width)
    rows = min(height - group * GROUP, GROUP)
    inside = tile - group * GROUP * width
    return group * GROUP + inside % rows, inside // rows


@gluon.jit
def meet(WARPS: gl.constexpr):
    """Wait until every thread of the cluster has come here."""
    thread = gl.arange(0, 32 * WARPS, gl.BlockedLayout([1], [32], [WARPS], [0]))
    gl.inline_asm_elementwise(
        "fence.mbarrier_init.release.cluster; barrier.cluster.arrive; barrier.cluster.wait; mov.b32 $0, $1;",
        "=r,r",
        [thread],
        dtype=gl.int32,
        is_pure=False,
        pack=1,
    )


@gluon.jit
def produce(
    h, weight, rings, bars, CONSUMERS: gl.constexpr, STAGES: gl.constexpr, GROUP: gl.constexpr,
    CLUSTER: gl.constexpr,
):  # fmt: skip
    """Load what the consumers multiply, up to STAGES steps ahead, across tiles.

    Of the weight, each program of a cluster loads the gate or the up for both; see ``share_weights``.
    """
    h_ring, w_ring = rings
    full, empty, _ = bars
    ROWS: gl.constexpr = h.block_shape[0]
    BLOCK: gl.constexpr = h.block_shape[1]
    WIDE: gl.constexpr = weight.block_shape[1]
    halves = w_ring._reinterpret(gl.bfloat16, [STAGES * CLUSTER] + weight.block_type.shape, weight.layout)
    rank = gl.program_id(0) % CLUSTER
    height = gl.cdiv(h.shape[0], ROWS * CONSUMERS * CLUSTER)
    width = weight.shape[1] // WIDE
    count = 0
    if CLUSTER > 1:
        meet(gl.num_warps())
    for tile in range(gl.program_id(0) // CLUSTER, height * width, gl.num_programs(0) // CLUSTER):
        m, n = gluon_place_of(tile, height, width, GROUP)
        row = (m * CLUSTER + rank) * CONSUMERS * ROWS
        for k in range(h.shape[1] // BLOCK):
            slot = count % STAGES
            hopper.mbarrier.wait(empty.index(slot), (count // STAGES & 1) ^ 1)
            loaded = full.index(slot)
            hopper.mbarrier.expect(loaded, (CONSUMERS * ROWS + 2 * WIDE) * BLOCK * 2)
            hopper.tma.async_copy_global_to_shared(
                weight, [rank, n * WIDE, k * BLOCK], loaded, halves.index(slot * CLUSTER + rank)
            )
            for who in gl.static_range(CONSUMERS):
                hopper.tma.async_copy_global_to_shared(
                    h, [row + who * ROWS, k * BLOCK], loaded, h_ring.index(slot * CONSUMERS + who)
                )
            count += 1
    if CLUSTER > 1:
        meet(gl.num_warps())


@gluon.jit
def consume(
    h, weight, out, rings, staging, bars, WHO: gl.constexpr, CONSUMERS: gl.constexpr, STAGES: gl.constexpr,
    GROUP: gl.constexpr, CLUSTER: gl.constexpr, SKEW: gl.constexpr,
):  # fmt: skip
    """Warps that multiply ROWS rows of each tile, and store them while the next tile is loaded.

    Each consumer stays SKEW steps behind the one before it, so that the tensor cores are kept busy by one while
    another is at its activation.
    """
    h_ring, w_ring = rings
    full, empty, ahead = bars
    ROWS: gl.constexpr = h.block_shape[0]
    BLOCK: gl.constexpr = h.block_shape[1]
    WIDE: gl.constexpr = weight.block_shape[1]
    layout: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [gl.num_warps(), 1], [16, 2 * WIDE, 16])
    rank = gl.program_id(0) % CLUSTER
    height = gl.cdiv(h.shape[0], ROWS * CONSUMERS * CLUSTER)
    width = weight.shape[1] // WIDE
    count = 0
    turn = 0
    if CLUSTER > 1:
        meet(gl.num_warps())
    for tile in range(gl.program_id(0) // CLUSTER, height * width, gl.num_programs(0) // CLUSTER):
        m, n = gluon_place_of(tile, height, width, GROUP)
        if SKEW > 0 and WHO > 0:
            hopper.mbarrier.wait(ahead.index(WHO - 1), turn)
        turn ^= 1
        both = gl.zeros((ROWS, 2 * WIDE), gl.float32, layout)
        for k in range(h.shape[1] // BLOCK):
            slot = count % STAGES
            hopper.mbarrier.wait(full.index(slot), count // STAGES & 1)
            w = w_ring.index(slot).permute((1, 0))
            both = hopper.warpgroup_mma(h_ring.index(slot * CONSUMERS + WHO), w, both, is_async=True)
            both = hopper.warpgroup_mma_wait(1, (both,))
            hopper.mbarrier.arrive(empty.index((count + STAGES - 1) % STAGES), count=CLUSTER, pred=k > 0)
            if SKEW > 0 and WHO < CONSUMERS - 1:
                hopper.mbarrier.arrive(ahead.index(WHO), pred=k == SKEW - 1)
            count += 1
        both = hopper.warpgroup_mma_wait(0, (both,))
        hopper.mbarrier.arrive(empty.index((count + STAGES - 1) % STAGES), count=CLUSTER)
        # The columns of gate and up that belong together lie in the same thread.
        gate, up = both.reshape((ROWS, 2, WIDE)).permute((0, 2, 1)).split()
        value = gl.inline_asm_elementwise(
            SILU_MUL, "=f,f,f", [gate, up], dtype=gl.float32, is_pure=True, pack=1
        )
        hopper.tma.store_wait(0)
        gl.thread_barrier()
        staging.index(WHO).store(value.to(gl.bfloat16))
        hopper.fence_async_shared()
        row = ((m * CLUSTER + rank) * CONSUMERS + WHO) * ROWS
        hopper.tma.async_copy_shared_to_global(out, [row, n * WIDE], staging.index(WHO))
    hopper.tma.store_wait(0)
    if CLUSTER > 1:
        meet(gl.num_warps())


@gluon.jit
def fused_gluon(
    h, weight, out, CONSUMERS: gl.constexpr, STAGES: gl.constexpr, GROUP: gl.constexpr, CLUSTER: gl.constexpr,
    SKEW: gl.constexpr, REGISTERS: gl.constexpr, LOADERS: gl.constexpr,
):  # fmt: skip
    """Out [T, SIZE] = silu(h @ gate.T) * (h @ up.T): some warps load, 1 or 2 groups of warps share each tile.

    Blocks of the descriptors: ``h`` [T, HIDDEN] by [ROWS, BLOCK], ``weight`` [2, SIZE, HIDDEN] by [2, WIDE, BLOCK],
    in a CLUSTER of two by [1, WIDE, BLOCK], ``out`` by [ROWS, WIDE]. A thread of the second consumer has REGISTERS, one
    of the LOADERS 24, one of the first consumer what is left.
    """
    WIDE: gl.constexpr = weight.block_shape[1]
    h_ring = gl.allocate_shared_memory(gl.bfloat16, [STAGES * CONSUMERS] + h.block_type.shape, h.layout)
    w_ring = gl.allocate_shared_memory(gl.bfloat16, [STAGES, 2 * WIDE, h.block_shape[1]], h.layout)
    staging = gl.allocate_shared_memory(gl.bfloat16, [CONSUMERS] + out.block_type.shape, out.layout)
    full = gl.allocate_shared_memory(gl.int64, [STAGES, 1], hopper.mbarrier.MBarrierLayout())
    empty = gl.allocate_shared_memory(gl.int64, [STAGES, 1], hopper.mbarrier.MBarrierLayout())
    ahead = gl.allocate_shared_memory(gl.int64, [CONSUMERS, 1], hopper.mbarrier.MBarrierLayout())
    for slot in gl.static_range(STAGES):
        hopper.mbarrier.init(full.index(slot), count=1)
        hopper.mbarrier.init(empty.index(slot), count=CONSUMERS * CLUSTER)
    for who in gl.static_range(CONSUMERS):
        hopper.mbarrier.init(ahead.index(who), count=1)
    hopper.fence_async_shared()
    rings = (h_ring, w_ring)
    bars = (full, empty, ahead)
    if CONSUMERS == 1:
        gl.warp_specialize(
            [
                (consume, (h, weight, out, rings, staging, bars, 0, CONSUMERS, STAGES, GROUP, CLUSTER, SKEW)),
                (produce, (h, weight, rings, bars, CONSUMERS, STAGES, GROUP, CLUSTER)),
            ],
            [LOADERS],
            [24],
        )
    else:
        gl.warp_specialize(
            [
                (consume, (h, weight, out, rings, staging, bars, 0, CONSUMERS, STAGES, GROUP, CLUSTER, SKEW)),
                (consume, (h, weight, out, rings, staging, bars, 1, CONSUMERS, STAGES, GROUP, CLUSTER, SKEW)),
                (produce, (h, weight, rings, bars, CONSUMERS, STAGES, GROUP, CLUSTER)),
            ],
            [4, LOADERS],
            [REGISTERS, 24],
        )


def share_weights(ptx: str) -> str:
    """The kernel for a cluster of two programs: what one loads of the weight is written to both.

    Triton has no such load for Hopper, so its assembly is changed: the loads of the weight, which alone have three
    dimensions, go to both programs, and a slot's release, which alone arrives twice, goes to both that fill it.
    """
    load = r"(@%p\d+) (cp\.async\.bulk\.tensor\.3d\.\S+) (\[.*\], \[.*\], \[.*\]);"
    ptx, loads = re.subn(
        load, r"{ .reg .b16 mask; mov.b16 mask, 3; \1 \2.multicast::cluster \3, mask; }", ptx
    )
    release = r"(@%p\d+) mbarrier\.arrive\.shared::cta\.b64 _, \[(%r\d+)\], 2;"
    ptx, releases = re.subn(
        release,
        r"{ .reg .b32 rank, there; mov.u32 rank, %cluster_ctarank; xor.b32 rank, rank, 1; "
        r"mapa.shared::cluster.u32 there, \2, rank; \1 mbarrier.arrive.shared::cta.b64 _, [\2]; "
        r"\1 mbarrier.arrive.shared::cluster.b64 _, [there]; }",
        ptx,
    )
    if not loads or not releases:
        raise RuntimeError("the assembly does not look as expected")
    return ptx


def change_assembly(_backend: Any, stages: dict[str, Any], *_: Any) -> None:
    """For ``triton.knobs.runtime.add_stages_inspection_hook``: change kernels of clusters, leave others."""
    usual = stages["ptx"]

    def changed(source: Any, metadata: Any) -> Any:
        ptx = usual(source, metadata)
        return share_weights(ptx) if "barrier.cluster" in ptx else ptx

    stages["ptx"] = changed


Launch = Callable[..., Any]


@dataclass(frozen=True)
class OfTriton:
    """A cut of ``fused_triton``."""

    kind: str = "two"
    rows: int = 128
    wide: int = 128
    block: int = 64
    warps: int = 8
    stages: int = 3
    group: int = 16
    persistent: bool = True
    flatten: bool = False

    def prepare(self, h: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> Launch:
        """A launch of the kernel; the descriptors are made here once."""
        block = {
            "two": [self.wide, self.block],
            "joined": [2, self.wide, self.block],
            "woven": [2 * self.wide, self.block],
        }
        if self.kind == "joined":
            weight = weight.view(2, SIZE, HIDDEN)
        elif self.kind == "woven" and weight.device.type == "cuda":
            weight = weight.view(2, SIZE, HIDDEN).transpose(0, 1).reshape(2 * SIZE, HIDDEN)
        tiles = triton.cdiv(len(h), self.rows) * (SIZE // self.wide)
        grid = (min(PROGRAMS, tiles) if self.persistent else tiles,)
        return partial(
            fused_triton.run,
            TensorDescriptor.from_tensor(h, [self.rows, self.block]),
            TensorDescriptor.from_tensor(weight, block[self.kind]),
            TensorDescriptor.from_tensor(out, [self.rows, self.wide]),
            self.kind, self.rows, self.wide, self.block, self.group, self.flatten,
            num_warps=self.warps, num_stages=self.stages, grid=grid, warmup=False,
        )  # fmt: skip


@dataclass(frozen=True)
class OfGluon:
    """A cut of ``fused_gluon``; ``rows`` are one consumer's."""

    consumers: int = 2
    rows: int = 64
    wide: int = 128
    block: int = 64
    warps: int = 4
    stages: int = 4
    group: int = 16
    skew: int = 2
    cluster: int = 1
    registers: int = 232
    limit: int = 168
    """Registers a thread when the kernel starts: times its threads at most 65536."""

    def prepare(self, h: torch.Tensor, weight: torch.Tensor, out: torch.Tensor) -> Launch:
        """A launch of the kernel; the descriptors are made here once."""
        tiles = triton.cdiv(len(h), self.rows * self.consumers * self.cluster) * (SIZE // self.wide)
        launch = partial(
            fused_gluon.run,
            self._descriptor(h, [self.rows, self.block]),
            self._descriptor(weight.view(2, SIZE, HIDDEN), [2 // self.cluster, self.wide, self.block]),
            self._descriptor(out, [self.rows, self.wide]),
            self.consumers, self.stages, self.group, self.cluster, self.skew, self.registers,
            1 if self.cluster == 1 else 4,  # in a cluster, every warp that there is must come to ``meet``
            num_warps=self.warps, maxnreg=self.limit, grid=(min(PROGRAMS // self.cluster, tiles),), warmup=False,
        )  # fmt: skip
        if self.cluster > 1:
            triton.knobs.runtime.add_stages_inspection_hook = change_assembly
            kernel = launch(warmup=True)
            warps, _, shared = kernel.packed_metadata
            kernel.packed_metadata = (warps, self.cluster, shared)
        return launch

    @staticmethod
    def _descriptor(tensor: torch.Tensor, block: list[int]) -> GluonDescriptor:
        layout = gl.NVMMASharedLayout.get_default_for(block, gl.bfloat16)
        return GluonDescriptor.from_tensor(tensor, block, layout)


Candidate = OfTriton | OfGluon
GLUON = OfGluon()
TRITON = OfTriton()
JOINED = replace(TRITON, kind="joined")
CANDIDATES: dict[str, Candidate] = {
    "Triton two": replace(TRITON, stages=4),
    "Triton woven": replace(TRITON, kind="woven", flatten=True),
    "Triton joined": replace(JOINED, stages=4),
    "Triton joined, flattened": replace(JOINED, stages=4, flatten=True),
    "Triton joined, a program a tile": replace(JOINED, stages=4, persistent=False),
    "Triton joined, 128 x (64+64), 2 programs": replace(JOINED, wide=64, warps=4, persistent=False),
    "Triton joined, 256 x (64+64)": replace(JOINED, rows=256, wide=64, stages=4, group=8),
    "roles, 1 of 8 warps": replace(GLUON, consumers=1, rows=128, warps=8, skew=0),
    "roles, 2 in step": replace(GLUON, skew=0),
    "roles, 2 by 3 steps": replace(GLUON, skew=3),
    "roles, 2 by 3 steps, groups of 64": replace(GLUON, skew=3, group=64),
    "pairs, 2 in step": replace(GLUON, cluster=2, skew=0, group=8),
    "pairs, 2 by 2 steps": replace(GLUON, cluster=2, skew=2, group=8),
    "pairs, 2 by 3 steps": replace(GLUON, cluster=2, skew=3, group=8),
    "roles, 256 x (64+64)": replace(GLUON, rows=128, wide=64, skew=3, group=8),
    "roles, 128 x (64+64)": replace(GLUON, wide=64, stages=6, skew=4),
}


def machine_code(kernel: Any) -> dict[str, int]:
    """What a compiled kernel takes, and how often the instructions that matter stand in it."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        read = partial(subprocess.run, capture_output=True, text=True, check=True)
        tool = triton.knobs.nvidia.cuobjdump.path
        usage = read([tool, "--dump-resource-usage", file.name]).stdout
        code = read([tool, "--dump-sass", file.name]).stdout
    found = {
        name: int(re.search(rf"{name}:(\d+)", usage).group(1))  # type: ignore[union-attr]
        for name in ("REG", "STACK", "LOCAL")
    }
    found["shared"] = kernel.metadata.shared
    found["threads"] = 32 * kernel.metadata.num_warps
    for name in ("HGMMA.64x256", "HGMMA.64x128", "UTMALDG", "UTMASTG", "LDL", "STL", "STSM", "SHFL"):
        found[name] = code.count(f" {name}")
    for left in (0, 1, 2):
        found[f"waits for all but {left}"] = code.count(f"WARPGROUP.DEPBAR.LE gsb0, 0x{left}")
    return found


def compile_one(name: str) -> dict[str, Any]:
    """Compile a candidate for Hopper without a GPU; what its machine code takes and holds, or why it fails."""
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    class NoDevice:
        def get_current_target(self) -> GPUTarget:
            return GPUTarget("cuda", 90, 32)

        def get_current_device(self) -> int:
            return 0

        def get_current_stream(self, _device: int = 0) -> int:
            return 0

    driver.set_active(NoDevice())
    torch.set_num_threads(1)
    shapes = ((704, HIDDEN), (2 * SIZE, HIDDEN), (704, SIZE))
    h, weight, out = (torch.empty(shape, dtype=torch.bfloat16) for shape in shapes)
    try:
        return machine_code(CANDIDATES[name].prepare(h, weight, out)(warmup=True))
    except Exception as error:
        return {"failed": repr(error)[-300:]}


def try_one(name: str) -> dict[str, Any]:
    """Compile a candidate for this GPU and check it; a process of its own, as a fault ends a process's use of it."""
    torch.set_num_threads(1)
    try:
        weight = random_weight()
        found: dict[str, Any] = {}
        for tokens in CHECKED:
            shape = Shape(tokens, weight)
            launch = CANDIDATES[name].prepare(shape.h, weight, shape.out)
            if not found:
                kernel = launch()
                found = {
                    "registers": kernel.n_regs,
                    "spills": kernel.n_spills,
                    "shared": kernel.metadata.shared,
                }
            found |= {f"{key}, {tokens} tokens": value for key, value in shape.check(launch).items()}
        return found
    except Exception as error:
        return {"failed": repr(error)[-300:]}


def random_weight() -> torch.Tensor:
    """The rows of the gate, then those of the up."""
    torch.manual_seed(1)
    return torch.randn(2 * SIZE, HIDDEN, device="cuda", dtype=torch.bfloat16) * 0.03


def reference(h: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The activation in float32."""
    gate, up = (h.float() @ weight.float().T).chunk(2, dim=-1)
    return torch.nn.functional.silu(gate) * up


def worst(out: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest error relative to the value, or to an eighth of the typical value where that is larger."""
    expected = expected.float()
    scale = expected.abs().clamp_min(expected.square().mean().sqrt() / 8)
    return float(((out.float() - expected).abs() / scale).nan_to_num(nan=float("inf")).max())


class Shape:
    """A prefill's tensors, what they should give, and the time that any launch on them takes."""

    def __init__(self, tokens: int, weight: torch.Tensor) -> None:
        self.weight = weight
        self.h = torch.randn(tokens, HIDDEN, device=weight.device, dtype=torch.bfloat16)
        self.both = torch.empty(tokens, 2 * SIZE, device=weight.device, dtype=torch.bfloat16)
        self.out = torch.empty(tokens, SIZE, device=weight.device, dtype=torch.bfloat16)
        ends = torch.arange(tokens, device=weight.device)
        self.rows = torch.cat([ends[:130], ends[-130:]]).unique()
        self.expected = reference(self.h[self.rows], weight)
        self.separate()
        self.separately = self.out.clone()

    def separate(self) -> None:
        """As it is without a fused kernel."""
        torch.mm(self.h, self.weight.T, out=self.both)
        silu_mul[(len(self.h), triton.cdiv(SIZE, 2048))](self.both, None, self.out, 0, 0.0, SIZE, 2048, 1, 1, False)

    def product(self) -> None:
        """The product alone."""
        torch.mm(self.h, self.weight.T, out=self.both)

    def check(self, launch: Launch) -> dict[str, float]:
        """Errors of a launch on some rows against float32, and on all against the separate kernels."""
        self.out.fill_(float("nan"))
        launch()
        torch.cuda.synchronize()
        return {"error": worst(self.out[self.rows], self.expected), "apart": worst(self.out, self.separately)}

    def micros(self, launch: Launch) -> float:
        """Microseconds a launch, of enough of them in a row for the clock to settle."""
        launch()
        torch.cuda.synchronize()
        flops = 4 * len(self.h) * HIDDEN * SIZE
        launches = max(8, round(0.012 * 7e14 / flops))
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(launches):
                launch()
        times: list[float] = []
        for _ in range(9):
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            graph.replay()
            end.record()
            end.synchronize()
            times.append(start.elapsed_time(end) * 1000 / launches)
        return statistics.median(times[2:])


def measure(names: list[str], results: dict[str, Any], out: Path) -> None:
    """Time the candidates, one count of tokens after the other; written to ``out`` after each."""
    weight = random_weight()
    for tokens in TOKENS:
        shape = Shape(tokens, weight)
        rows: dict[str, Any] = {}
        results[f"{tokens} tokens"] = rows
        flops = 4 * tokens * HIDDEN * SIZE
        launches: dict[str, Launch] = {SEPARATE: shape.separate, "cuBLAS alone": shape.product}
        launches |= {name: CANDIDATES[name].prepare(shape.h, weight, shape.out) for name in names}
        launches[f"{SEPARATE}, again"] = shape.separate
        for name, launch in launches.items():
            try:
                errors = shape.check(launch) if name != "cuBLAS alone" else {}
                micros = shape.micros(launch)
            except Exception as error:
                rows[name] = {"failed": repr(error)[-300:]}
                print(f"{tokens:5}  {name:38} {rows[name]}", flush=True)
                continue
            ratio = rows[SEPARATE]["us"] / micros if rows else 1.0
            speed = flops / micros / 1e6
            wrong = max(errors.values(), default=0) > LARGEST_ERROR
            rows[name] = {
                "us": round(micros, 1),
                "TFLOP/s": round(speed),
                "as fast": round(ratio, 3),
                **errors,
            }
            told = " ".join(f"{key} {value:.4f}" for key, value in errors.items())
            print(
                f"{tokens:5}  {name:38} {micros:7.1f} us {speed:4.0f} TFLOP/s {ratio:6.3f} times as fast  {told}"
                + (" WRONG" if wrong else ""),
                flush=True,
            )
        out.write_text(json.dumps(results, indent=1))
        print(flush=True)


def main() -> None:
    """Compile and check, then time what is right."""
    begun = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", nargs="+", default=list(CANDIDATES), choices=list(CANDIDATES))
    parser.add_argument("--only-compile", action="store_true", help="needs no GPU")
    arguments = parser.parse_args()
    if not arguments.only_compile and arguments.out is None:
        parser.error("--out is needed where kernels are timed")
    results: dict[str, Any] = {"tried": {}}
    pool = multiprocessing.get_context("spawn").Pool(min(len(arguments.only), os.cpu_count() or 1))
    job = compile_one if arguments.only_compile else try_one
    started = {name: pool.apply_async(job, (name,)) for name in arguments.only}
    sound = []
    for name, found in started.items():
        try:
            answer = found.get(timeout=max(1.0, begun + PATIENCE - time.monotonic()))
        except multiprocessing.TimeoutError:
            answer = {"failed": "no answer: it hangs, or too little time"}
        results["tried"][name] = answer
        errors = [value for key, value in answer.items() if key.startswith(("error", "apart"))]
        if "failed" not in answer and max(errors, default=0) <= LARGEST_ERROR:
            sound.append(name)
        print(f"{name}:", json.dumps(answer), "" if name in sound else "LEFT OUT", flush=True)
    pool.terminate()
    print(f"{time.monotonic() - begun:.1f} s\n", flush=True)
    if arguments.only_compile:
        return
    results["device"] = torch.cuda.get_device_name()
    measure(sound, results, arguments.out)
    print(f"{time.monotonic() - begun:.1f} s in all", flush=True)


if __name__ == "__main__":
    main()
