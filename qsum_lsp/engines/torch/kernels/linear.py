"""Matrix products of few rows: bound by reading the weights once, so everything around them is fused in.

A step keeps its residual ``x`` [M, hidden] in float32. Whoever writes it also writes ``h`` = x * gain of the next
RMSNorm and, for each of its blocks, the sum of x²; the reader of ``h`` sums those and scales its products by
1 / rms(x) at the end. So a norm costs nothing but its gain.

Epilogues: ``scaled`` (norm, bias) for queries, keys and values; ``swiglu`` (norm, silu(gate) * up); ``residual``
(adds to x, prepares the next norm); ``argmax`` (norm, best row of each block).
Formats of the weights: ``dense``, ``8bit`` (one scale a row) and, for one row only, ``4bit`` (two codes a byte,
one float32 scale for 64 weights).
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
def _inverse_rms(ssq, m, mask, count, width, eps, COUNT: tl.constexpr):
    block = tl.arange(0, COUNT)
    sums = tl.load(
        ssq + m[:, None] * COUNT + block[None, :], mask=mask[:, None] & (block < count)[None, :], other=0.0
    )
    return tl.rsqrt(tl.sum(sums, axis=1) / width + eps)


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
def _raw_rows(weight, rows, mask, K, KP: tl.constexpr, FORMAT: tl.constexpr):
    # half as many bytes as weights in a 4-bit row
    SIZE: tl.constexpr = KP // 2 if FORMAT == "4bit" else KP
    width = K // 2 if FORMAT == "4bit" else K
    k = tl.arange(0, SIZE)
    pointers = weight + rows.to(tl.int64)[:, None] * width + k[None, :]
    return tl.load(
        pointers, mask=mask[:, None] & (k < width)[None, :], other=0, eviction_policy="evict_first"
    )


@triton.jit
def _times_vector(
    raw, h, scales, codes, rows, mask, K, KP: tl.constexpr, FORMAT: tl.constexpr, ROWS: tl.constexpr
):
    if FORMAT == "4bit":
        k = tl.arange(0, KP // 2)
        even = tl.load(h + 2 * k, mask=k < K // 2, other=0.0).to(tl.float32)
        odd = tl.load(h + 2 * k + 1, mask=k < K // 2, other=0.0).to(tl.float32)
        first = _decode(codes, raw.to(tl.int32) >> 4)
        second = _decode(codes, raw.to(tl.int32))
        products = first * even[None, :] + second * odd[None, :]
        blocks = tl.sum(tl.reshape(products, (ROWS, KP // 64, 32)), axis=2)
        block = tl.arange(0, KP // 64)
        scale = tl.load(
            scales + rows.to(tl.int64)[:, None] * (K // 64) + block[None, :],
            mask=mask[:, None] & (block < K // 64)[None, :],
            other=0.0,
        )
        y = tl.sum(blocks * scale, axis=1)
    else:
        k = tl.arange(0, KP)
        vector = tl.load(h + k, mask=k < K, other=0.0).to(tl.float32)
        y = tl.sum(raw.to(tl.float32) * vector[None, :], axis=1)
        if FORMAT == "8bit":
            y = y * tl.load(scales + rows, mask=mask, other=0.0)
    return y


@triton.jit(do_not_specialize=["ssq_count"])
def gemv(
    h, weight, scales, codes, bias, ssq, x, gain, h_out, ssq_out, out, out_index, ssq_count, eps,
    N: tl.constexpr, K: tl.constexpr, KP: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr,
    EPILOGUE: tl.constexpr, FORMAT: tl.constexpr, BIAS: tl.constexpr, COUNT: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """One row: out = epilogue(weight [N, K] · h [K]); a program makes ROWS of the N (of the N gate-up pairs)."""
    _let_go(PDL)
    pid = tl.program_id(0)
    rows = pid * ROWS + tl.arange(0, ROWS)
    mask = rows < N
    raw = _raw_rows(weight, rows, mask, K, KP, FORMAT)
    if EPILOGUE == "swiglu":
        raw_up = _raw_rows(weight, rows + N, mask, K, KP, FORMAT)
    _wait(PDL)
    y = _times_vector(raw, h, scales, codes, rows, mask, K, KP, FORMAT, ROWS)
    if EPILOGUE != "residual":
        zero = tl.arange(0, 1)
        rms = tl.sum(_inverse_rms(ssq, zero, zero < 1, ssq_count, WIDTH, eps, COUNT))
        y = y * rms
    if BIAS:
        y += tl.load(bias + rows, mask=mask, other=0.0).to(tl.float32)
    if EPILOGUE == "swiglu":
        up = _times_vector(raw_up, h, scales, codes, rows + N, mask, K, KP, FORMAT, ROWS) * rms
        y = y / (1 + tl.exp(-y)) * up
        tl.store(out + rows, y.to(out.dtype.element_ty), mask=mask)
    elif EPILOGUE == "scaled":
        tl.store(out + rows, y.to(out.dtype.element_ty), mask=mask)
    elif EPILOGUE == "residual":
        total = tl.load(x + rows, mask=mask, other=0.0) + y
        tl.store(x + rows, total, mask=mask)
        g = tl.load(gain + rows, mask=mask, other=0.0).to(tl.float32)
        tl.store(h_out + rows, (total * g).to(h_out.dtype.element_ty), mask=mask)
        tl.store(ssq_out + pid, tl.sum(tl.where(mask, total * total, 0.0)))
    else:
        y = tl.where(mask, y, float("-inf"))
        best = tl.max(y, axis=0)
        tl.store(out + pid, best)
        tl.store(out_index + pid, tl.min(tl.where(y == best, rows, 2147483647), axis=0))


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
            rms = _inverse_rms(ssq, m, m_mask, ssq_count, WIDTH, eps, COUNT)
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
