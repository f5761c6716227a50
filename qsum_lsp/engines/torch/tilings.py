"""How the matrix products of a decode step are cut into programs."""

from dataclasses import dataclass
from typing import Literal

Epilogue = Literal["scaled", "swiglu", "residual", "argmax"]

FEW_ROWS = 8
"""Rows up to which every row is computed by the same tiles in the same order, however many there are."""


def power_of_two(number: int) -> int:
    """The smallest power of two that is not less than ``number``."""
    return 1 << max(0, number - 1).bit_length()


@dataclass(frozen=True, slots=True)
class Tiling:
    """How one matrix product of few rows is cut; found by ``benchmarks/gpu_kernels.py`` on an H100.

    With ``chunks`` a program holds that many chunks of ``warps * block`` weights of each of its rows in registers.
    """

    rows: int
    warps: int
    block: int = 0
    splits: int = 1
    stages: int = 1
    chunks: int = 0

    def outputs(self, epilogue: Epilogue) -> int:
        """Columns of the result that one program makes; gates and ups are rows of their own where it holds them."""
        return self.rows // 2 if self.chunks and epilogue == "swiglu" else self.rows


def choose_tiling(n: int, k: int, m: int, epilogue: Epilogue, kind: str) -> Tiling:
    """The tiling of an [m, k] by [n, k] product; up to FEW_ROWS it does not depend on ``m``."""
    if kind == "4bit":
        return Tiling(rows=2 if k <= 4096 else 1, warps=min(8, 4 * max(1, power_of_two(k) // 2048)))
    if epilogue == "argmax":
        return Tiling(rows=64, warps=4, block=128, stages=3)
    if m <= FEW_ROWS:
        warps, block = (2, 256) if epilogue == "swiglu" else (4, 128)
        chunks = 2 if k > 4096 else min(3, -(-k // 512))
        return Tiling(rows=16, warps=warps, block=block, chunks=chunks, splits=-(-k // (512 * chunks)))
    few = m <= 16
    if n > 4096:
        return Tiling(rows=64 if few else 32, warps=4, block=64 if few else 128, stages=3)
    if k > 4096:
        rows, block, stages = 64, 128, 3
    else:
        rows, block, stages = (32, 256, 5) if few else (16, 128, 5)
    splits = max(1, min(8, round(192 / -(-n // rows)), k // block))
    return Tiling(rows=rows, warps=4, block=block, splits=splits, stages=stages)


@dataclass(frozen=True, slots=True)
class AttentionCut:
    """How the attention of a decode step is cut; found as tilings are.

    ``block`` keys are multiplied at once, ``splits`` programs of ``warps`` warps share the context of one row and key
    head, and ``stages`` blocks are on their way.
    """

    block: int
    splits: int
    warps: int
    stages: int = 2


def choose_attention(m: int, pairs: int, head_dim: int) -> AttentionCut:
    """The cut for ``m`` tokens in ``pairs`` pairs of a row and a key head; up to FEW_ROWS tokens always the same."""
    if m <= FEW_ROWS:
        return AttentionCut(block=32, splits=32, warps=4)
    # enough programs for all multiprocessors at any batch; a long context is divided among them
    splits = max(1, min(8, power_of_two(512 // pairs)))
    if splits == 1 and head_dim <= 128:  # for larger heads many GPUs have too little shared memory
        return AttentionCut(block=128, splits=1, warps=4, stages=2)
    return AttentionCut(block=64, splits=splits, warps=4, stages=3)
