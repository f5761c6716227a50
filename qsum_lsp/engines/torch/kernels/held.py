"""Matrix products of up to 8 rows, whose weights are in registers before the kernel before has ended.

A row gets the same bits however many there are: a token that is verified among drafts is the one that would have been
made alone. Norms, epilogues and formats as in ``linear``.
"""

import triton
import triton.language as tl

from qsum_lsp.engines.torch.kernels.linear import _let_go, _sums_of_squares, _wait


@triton.jit
def _stripes(weight, rows, mask, k0, end, K: tl.constexpr, STRIPES: tl.constexpr, BK: tl.constexpr):
    # [STRIPES, rows, BK]: each warp multiplies a stripe of its own
    k = k0 + tl.arange(0, STRIPES)[:, None] * BK + tl.arange(0, BK)[None, :]
    pointers = weight + rows.to(tl.int64)[None, :, None] * K + k[:, None, :]
    return tl.load(
        pointers, mask=mask[None, :, None] & (k < end)[:, None, :], other=0, eviction_policy="evict_first"
    )


@triton.jit
def _columns(h, m, m_mask, k0, end, K: tl.constexpr, STRIPES: tl.constexpr, BK: tl.constexpr):
    k = k0 + tl.arange(0, STRIPES)[:, None] * BK + tl.arange(0, BK)[None, :]
    return tl.load(
        h + m[None, None, :] * K + k[:, :, None],
        mask=m_mask[None, None, :] & (k < end)[:, :, None],
        other=0.0,
    )


@triton.jit(do_not_specialize=["ssq_count", "M"])
def held(
    h, weight, scales, bias, ssq, x, gain, h_out, ssq_out, out, partials, counters,
    M, ssq_count, eps,
    N: tl.constexpr, K: tl.constexpr, WIDTH: tl.constexpr, MP: tl.constexpr, ROWS: tl.constexpr, BK: tl.constexpr,
    STRIPES: tl.constexpr, CHUNKS: tl.constexpr, SPLITS: tl.constexpr, EPILOGUE: tl.constexpr,
    FORMAT: tl.constexpr, BIAS: tl.constexpr, COUNT: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """M ≤ MP rows: out [M, N] = epilogue(h [M, K] · weightᵀ); a program makes ROWS of the N.

    It holds all its weights, ROWS by CHUNKS * STRIPES * BK, in registers before the kernel before has ended. A row's
    result does not depend on M. With SPLITS > 1 the programs of one block each take a part of K; the last to arrive
    adds the parts up in order and does the epilogue. For ``swiglu`` the ROWS are half gates, half ups.
    """
    _let_go(PDL)
    pid = tl.program_id(0)
    split = tl.program_id(1)
    r = tl.arange(0, ROWS)
    if EPILOGUE == "swiglu":
        HALF: tl.constexpr = ROWS // 2
        outs = pid * HALF + tl.arange(0, HALF)
        rows = pid * HALF + r % HALF
        mask = rows < N
        rows += (r // HALF) * N
    else:
        outs = pid * ROWS + r
        rows = outs
        mask = rows < N
    out_mask = outs < N
    CHUNK: tl.constexpr = STRIPES * BK
    begin = split * (CHUNKS * CHUNK)
    end = tl.minimum(begin + CHUNKS * CHUNK, K)
    raw0 = _stripes(weight, rows, mask, begin, end, K, STRIPES, BK)
    if CHUNKS > 1:
        raw1 = _stripes(weight, rows, mask, begin + CHUNK, end, K, STRIPES, BK)
    if CHUNKS > 2:
        raw2 = _stripes(weight, rows, mask, begin + 2 * CHUNK, end, K, STRIPES, BK)
    if BIAS:
        b = tl.load(bias + rows, mask=mask, other=0.0).to(tl.float32)
    if FORMAT == "8bit":
        scale = tl.load(scales + rows, mask=mask, other=0.0)
    if EPILOGUE == "residual":
        g = tl.load(gain + rows, mask=mask, other=0.0).to(tl.float32)
    m = tl.arange(0, MP)
    m_mask = m < M
    both = out_mask[:, None] & m_mask[None, :]
    place = m[None, :] * N + outs[:, None]
    _wait(PDL)
    # what the epilogue needs is on its way while the product is computed
    if EPILOGUE == "residual":
        before = tl.load(x + place, mask=both, other=0.0)
    else:
        sums = _sums_of_squares(ssq, m, m_mask, ssq_count, COUNT)
    h0 = _columns(h, m, m_mask, begin, end, K, STRIPES, BK)
    if CHUNKS > 1:
        h1 = _columns(h, m, m_mask, begin + CHUNK, end, K, STRIPES, BK)
    if CHUNKS > 2:
        h2 = _columns(h, m, m_mask, begin + 2 * CHUNK, end, K, STRIPES, BK)
    acc = tl.dot(raw0.to(h0.dtype), h0)
    if CHUNKS > 1:
        acc = tl.dot(raw1.to(h1.dtype), h1, acc)
    if CHUNKS > 2:
        acc = tl.dot(raw2.to(h2.dtype), h2, acc)
    y = tl.sum(acc, axis=0)
    last = True
    if SPLITS > 1:
        spot = r[:, None] * MP + m[None, :]
        own = partials + (pid * SPLITS + split) * (ROWS * MP)
        tl.store(own + spot, y, mask=m_mask[None, :])
        tl.debug_barrier()
        last = tl.atomic_add(counters + pid, 1, sem="acq_rel", scope="gpu") == SPLITS - 1
        if last:
            y = tl.zeros((ROWS, MP), dtype=tl.float32)
            for other in tl.static_range(SPLITS):
                y += tl.load(
                    partials + (pid * SPLITS + other) * (ROWS * MP) + spot,
                    mask=m_mask[None, :],
                    other=0.0,
                    cache_modifier=".cg",
                )
            tl.store(counters + pid, 0)
    if last:
        if FORMAT == "8bit":
            y = y * scale[:, None]
        if EPILOGUE != "residual":
            rms = tl.rsqrt(tl.sum(sums, axis=1) / WIDTH + eps)
            y = y * rms[None, :]
        if BIAS:
            y += b[:, None]
        if EPILOGUE == "swiglu":
            gate, up = tl.split(tl.permute(tl.reshape(y, (2, HALF, MP)), (1, 2, 0)))
            product = gate / (1 + tl.exp(-gate)) * up
            tl.store(out + place, product.to(out.dtype.element_ty), mask=both)
        elif EPILOGUE == "scaled":
            tl.store(out + place, y.to(out.dtype.element_ty), mask=both)
        else:
            total = before + y
            tl.store(x + place, total, mask=both)
            tl.store(h_out + place, (total * g[:, None]).to(h_out.dtype.element_ty), mask=both)
            tl.store(
                ssq_out + m * COUNT + pid, tl.sum(tl.where(both, total * total, 0.0), axis=0), mask=m_mask
            )
