"""Matrix products of few rows: bound by reading the weights once, so everything around them is fused in.

A step keeps its residual ``x`` [M, hidden] in float32. Whoever writes it also writes ``h`` = x * gain of the next
RMSNorm and, for each of its blocks, the sum of x²; the reader of ``h`` sums those and scales its products by
1 / rms(x) at the end. So a norm costs nothing but its gain.

Epilogues: ``scaled`` (norm, bias) for queries, keys and values; ``swiglu`` (norm, silu(gate) * up); ``residual``
(adds to x, prepares the next norm); ``argmax`` (norm, best row of each block).
Formats of the weights: ``dense`` and ``8bit`` (one scale a row). ``skinny`` serves up to 64 rows, and the large head; up to
8 rows have ``held.held``, 4-bit weights ``packed.gemv``.
"""

import triton
import triton.language as tl


@triton.jit
def _wait(PDL: tl.constexpr):
    # what the kernel before wrote may be read from here on; weights may be read before
    if PDL:
        tl.extra.cuda.gdc_wait()


@triton.jit
def _let_go(PDL: tl.constexpr):
    # the next kernel may start as soon as there is room for its blocks
    if PDL:
        tl.extra.cuda.gdc_launch_dependents()


@triton.jit
def _fetch_ahead(weight, rows, mask, k0, K: tl.constexpr, BYTES: tl.constexpr, SPAN: tl.constexpr):
    # bring the start of this program's weights into the L2 cache, a line of 128 bytes at a time
    line = tl.arange(0, SPAN // 128) * 128
    pointers = weight.to(tl.pointer_type(tl.uint8)) + rows.to(tl.int64)[:, None] * (K * BYTES)
    pointers = pointers + (k0 * BYTES + line)[None, :]
    inside = mask[:, None] & ((k0 * BYTES + line) < K * BYTES)[None, :]
    safe = tl.where(inside, pointers, weight.to(tl.pointer_type(tl.uint8)) + tl.zeros_like(line)[None, :])
    tl.inline_asm_elementwise(
        "prefetch.global.L2 [$1]; mov.u32 $0, 0;", "=r,l", [safe], dtype=tl.int32, is_pure=False, pack=1
    )


@triton.jit
def _sums_of_squares(ssq, m, mask, count, COUNT: tl.constexpr):
    block = tl.arange(0, COUNT)
    return tl.load(
        ssq + m[:, None] * COUNT + block[None, :], mask=mask[:, None] & (block < count)[None, :], other=0.0
    )


@triton.jit
def _times_block(acc, h, weight, rows, mask, m, m_mask, k0, K: tl.constexpr, BK: tl.constexpr):
    k = k0 + tl.arange(0, BK)
    seen = k < K
    raw = tl.load(
        weight + rows.to(tl.int64)[:, None] * K + k[None, :], mask=mask[:, None] & seen[None, :], other=0
    )
    columns = tl.load(h + m[None, :] * K + k[:, None], mask=m_mask[None, :] & seen[:, None], other=0.0)
    return tl.dot(raw.to(columns.dtype), columns, acc)


@triton.jit(do_not_specialize=["ssq_count", "M"])
def skinny(
    h, weight, scales, bias, ssq, x, gain, h_out, ssq_out, out, out_index, partials, counters,
    M, ssq_count, eps,
    N: tl.constexpr, K: tl.constexpr, WIDTH: tl.constexpr, MP: tl.constexpr, ROWS: tl.constexpr, BK: tl.constexpr,
    SPLITS: tl.constexpr, EPILOGUE: tl.constexpr, FORMAT: tl.constexpr, BIAS: tl.constexpr,
    COUNT: tl.constexpr, STAGES: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """M ≤ MP rows: out [M, N] = epilogue(h [M, K] · weightᵀ), computed as weight · hᵀ so that N fills the tiles.

    With SPLITS > 1 the programs of one block each take a part of K; the last to arrive adds the parts up in order
    and does the epilogue, so that the result does not depend on who is last.
    """
    _let_go(PDL)
    pid = tl.program_id(0)
    split = tl.program_id(1)
    rows = pid * ROWS + tl.arange(0, ROWS)
    mask = rows < N
    m = tl.arange(0, MP)
    m_mask = m < M
    acc = tl.zeros((ROWS, MP), dtype=tl.float32)
    acc_up = tl.zeros((ROWS, MP), dtype=tl.float32)
    part: tl.constexpr = (K + SPLITS * BK - 1) // (SPLITS * BK) * BK
    if PDL:
        BYTES: tl.constexpr = 1 if FORMAT == "8bit" else 2
        _fetch_ahead(weight, rows, mask, split * part, K, BYTES, 512)
        if EPILOGUE == "swiglu":
            _fetch_ahead(weight, rows + N, mask, split * part, K, BYTES, 512)
    _wait(PDL)
    for k0 in tl.range(split * part, tl.minimum(split * part + part, K), BK, num_stages=STAGES):
        acc = _times_block(acc, h, weight, rows, mask, m, m_mask, k0, K, BK)
        if EPILOGUE == "swiglu":
            acc_up = _times_block(acc_up, h, weight, rows + N, mask, m, m_mask, k0, K, BK)
    last = True
    if SPLITS > 1:
        spot = tl.arange(0, ROWS)[:, None] * MP + m[None, :]
        own = partials + (pid * SPLITS + split) * (ROWS * MP)
        tl.store(own + spot, acc)
        tl.debug_barrier()
        last = tl.atomic_add(counters + pid, 1, sem="acq_rel", scope="gpu") == SPLITS - 1
        if last:
            acc = tl.zeros((ROWS, MP), dtype=tl.float32)
            for other in tl.static_range(SPLITS):
                acc += tl.load(partials + (pid * SPLITS + other) * (ROWS * MP) + spot, cache_modifier=".cg")
            tl.store(counters + pid, 0)
    if last:
        if FORMAT == "8bit":
            acc = acc * tl.load(scales + rows, mask=mask, other=0.0)[:, None]
        if EPILOGUE != "residual":
            sums = _sums_of_squares(ssq, m, m_mask, ssq_count, COUNT)
            rms = tl.rsqrt(tl.sum(sums, axis=1) / WIDTH + eps)
            acc = acc * rms[None, :]
        if BIAS:
            acc += tl.load(bias + rows, mask=mask, other=0.0).to(tl.float32)[:, None]
        place = m[None, :] * N + rows[:, None]
        both = mask[:, None] & m_mask[None, :]
        if EPILOGUE == "swiglu":
            if FORMAT == "8bit":
                acc_up = acc_up * tl.load(scales + N + rows, mask=mask, other=0.0)[:, None]
            acc = acc / (1 + tl.exp(-acc)) * (acc_up * rms[None, :])
            tl.store(out + place, acc.to(out.dtype.element_ty), mask=both)
        elif EPILOGUE == "scaled":
            tl.store(out + place, acc.to(out.dtype.element_ty), mask=both)
        elif EPILOGUE == "residual":
            total = tl.load(x + place, mask=both, other=0.0) + acc
            tl.store(x + place, total, mask=both)
            g = tl.load(gain + rows, mask=mask, other=0.0).to(tl.float32)
            tl.store(h_out + place, (total * g[:, None]).to(h_out.dtype.element_ty), mask=both)
            tl.store(
                ssq_out + m * COUNT + pid, tl.sum(tl.where(both, total * total, 0.0), axis=0), mask=m_mask
            )
        else:
            acc = tl.where(mask[:, None], acc, float("-inf"))
            best = tl.max(acc, axis=0)
            index = tl.min(tl.where(acc == best[None, :], rows[:, None], 2147483647), axis=0)
            blocks: tl.constexpr = (N + ROWS - 1) // ROWS
            tl.store(out + m * blocks + pid, best, mask=m_mask)
            tl.store(out_index + m * blocks + pid, index, mask=m_mask)
