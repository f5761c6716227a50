"""Products of one row with 4-bit weights as they are: two codes a byte, one float32 scale for 64 weights.

Norms and epilogues as in ``linear``.
"""

import triton
import triton.language as tl

from qsum_lsp.engines.torch.kernels.linear import _let_go, _sums_of_squares, _wait


@triton.jit
def _decode(codes, index):
    # a tree of selects on the four bits: faster than 32 lanes looking different entries up in memory
    b0 = (index & 1) != 0
    b1 = (index & 2) != 0
    b2 = (index & 4) != 0
    b3 = (index & 8) != 0
    c0 = tl.where(b0, tl.load(codes + 1), tl.load(codes))
    c1 = tl.where(b0, tl.load(codes + 3), tl.load(codes + 2))
    c2 = tl.where(b0, tl.load(codes + 5), tl.load(codes + 4))
    c3 = tl.where(b0, tl.load(codes + 7), tl.load(codes + 6))
    c4 = tl.where(b0, tl.load(codes + 9), tl.load(codes + 8))
    c5 = tl.where(b0, tl.load(codes + 11), tl.load(codes + 10))
    c6 = tl.where(b0, tl.load(codes + 13), tl.load(codes + 12))
    c7 = tl.where(b0, tl.load(codes + 15), tl.load(codes + 14))
    low = tl.where(b2, tl.where(b1, c3, c2), tl.where(b1, c1, c0))
    high = tl.where(b2, tl.where(b1, c7, c6), tl.where(b1, c5, c4))
    return tl.where(b3, high, low)


@triton.jit
def _packed_rows(weight, rows, mask, K: tl.constexpr, KP: tl.constexpr):
    k = tl.arange(0, KP // 2)
    pointers = weight + rows.to(tl.int64)[:, None] * (K // 2) + k[None, :]
    return tl.load(
        pointers, mask=mask[:, None] & (k < K // 2)[None, :], other=0, eviction_policy="evict_first"
    )


@triton.jit
def _times_vector(
    packed, h, scales, codes, rows, mask, K: tl.constexpr, KP: tl.constexpr, ROWS: tl.constexpr
):
    k = tl.arange(0, KP // 2)
    even = tl.load(h + 2 * k, mask=k < K // 2, other=0.0).to(tl.float32)
    odd = tl.load(h + 2 * k + 1, mask=k < K // 2, other=0.0).to(tl.float32)
    first = _decode(codes, packed.to(tl.int32) >> 4)
    second = _decode(codes, packed.to(tl.int32))
    products = first * even[None, :] + second * odd[None, :]
    blocks = tl.sum(tl.reshape(products, (ROWS, KP // 64, 32)), axis=2)
    block = tl.arange(0, KP // 64)
    scale = tl.load(
        scales + rows.to(tl.int64)[:, None] * (K // 64) + block[None, :],
        mask=mask[:, None] & (block < K // 64)[None, :],
        other=0.0,
    )
    return tl.sum(blocks * scale, axis=1)


@triton.jit(do_not_specialize=["ssq_count"])
def gemv(
    h, weight, scales, codes, bias, ssq, x, gain, h_out, ssq_out, out, ssq_count, eps,
    N: tl.constexpr, K: tl.constexpr, KP: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr,
    EPILOGUE: tl.constexpr, BIAS: tl.constexpr, COUNT: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """One row, 4-bit weights: out = epilogue(weight [N, K] · h [K]); a program makes ROWS of the N (gate-up pairs)."""
    _let_go(PDL)
    pid = tl.program_id(0)
    rows = pid * ROWS + tl.arange(0, ROWS)
    mask = rows < N
    packed = _packed_rows(weight, rows, mask, K, KP)
    if EPILOGUE == "swiglu":
        packed_up = _packed_rows(weight, rows + N, mask, K, KP)
    _wait(PDL)
    y = _times_vector(packed, h, scales, codes, rows, mask, K, KP, ROWS)
    if EPILOGUE != "residual":
        zero = tl.arange(0, 1)
        sums = _sums_of_squares(ssq, zero, zero < 1, ssq_count, COUNT)
        rms = tl.sum(tl.rsqrt(tl.sum(sums, axis=1) / WIDTH + eps))
        y = y * rms
    if BIAS:
        y += tl.load(bias + rows, mask=mask, other=0.0).to(tl.float32)
    if EPILOGUE == "swiglu":
        up = _times_vector(packed_up, h, scales, codes, rows + N, mask, K, KP, ROWS) * rms
        y = y / (1 + tl.exp(-y)) * up
        tl.store(out + rows, y.to(out.dtype.element_ty), mask=mask)
    elif EPILOGUE == "scaled":
        tl.store(out + rows, y.to(out.dtype.element_ty), mask=mask)
    else:
        total = tl.load(x + rows, mask=mask, other=0.0) + y
        tl.store(x + rows, total, mask=mask)
        g = tl.load(gain + rows, mask=mask, other=0.0).to(tl.float32)
        tl.store(h_out + rows, (total * g).to(h_out.dtype.element_ty), mask=mask)
        tl.store(ssq_out + pid, tl.sum(tl.where(mask, total * total, 0.0)))
