"""Attention of a decode step over the paged cache, split along the context (Dao et al., 2023, Flash-Decoding)."""

import triton
import triton.language as tl

from qsum_lsp.engines.torch.kernels.linear import _let_go, _wait


@triton.jit
def _fetch(pointers):
    tl.inline_asm_elementwise(
        "prefetch.global.L2 [$1]; mov.u32 $0, 0;", "=r,l", [pointers], dtype=tl.int32, is_pure=False, pack=1
    )


@triton.jit
def _normed(first, second, weight, d, HALF: tl.constexpr, eps):
    scale = tl.rsqrt((tl.sum(first * first, axis=1) + tl.sum(second * second, axis=1)) / (2 * HALF) + eps)[
        :, None
    ]
    return (
        first * scale * tl.load(weight + d).to(tl.float32)[None, :],
        second * scale * tl.load(weight + HALF + d).to(tl.float32)[None, :],
    )


@triton.jit(do_not_specialize=["table_stride", "ahead"])
def attend(
    qkv, cos, sin, q_norm, k_norm, keys, values, table, length, rows, out, part_acc, part_max, part_sum, counters,
    table_stride, ahead, eps, scale,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, HALF: tl.constexpr, QUERIES: tl.constexpr, QP: tl.constexpr,
    MP: tl.constexpr, SPLITS: tl.constexpr, BLOCK: tl.constexpr, PAGE: tl.constexpr, NORM: tl.constexpr,
    STAGES: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """One program: one row, one key head and its GROUP query heads, one part of the context.

    Rotates (and norms) queries and new keys, writes new keys and values to the cache, attends causally. ``out``
    [B * QUERIES, HEADS * 2 HALF]. The last program of a row and head to arrive combines the parts.
    """
    _let_go(PDL)
    head = tl.program_id(0)
    batch = tl.program_id(1)
    split = tl.program_id(2)
    GROUP: tl.constexpr = HEADS // KV_HEADS
    DIM: tl.constexpr = 2 * HALF
    WIDTH: tl.constexpr = (HEADS + 2 * KV_HEADS) * DIM
    # rows, lengths, pages and earlier keys and values do not change during a step: they are read before the wait
    row = tl.load(rows + batch)
    first_new = tl.load(length + row) - 1 + ahead
    total = first_new + QUERIES
    blocks = (total + BLOCK - 1) // BLOCK
    # at least two blocks a program: combining many parts costs more than a second block
    each = tl.maximum((blocks + SPLITS - 1) // SPLITS, 2)
    parts = (blocks + each - 1) // each
    begin = split * each * BLOCK
    pages = table + row * table_stride
    if PDL:
        both_halves = tl.arange(0, 2) * HALF
        for block in tl.static_range(2):
            ahead_n = begin + block * BLOCK + tl.arange(0, BLOCK)
            old = ahead_n < tl.minimum(first_new, begin + each * BLOCK)
            early = tl.load(pages + ahead_n // PAGE, mask=old, other=0).to(tl.int64) * PAGE + ahead_n % PAGE
            lines = (tl.where(old, early, 0) * (KV_HEADS * DIM) + head * DIM)[:, None] + both_halves[None, :]
            _fetch(keys + lines)
            _fetch(values + lines)
    _wait(PDL)
    if split < parts:
        end = tl.minimum(total, begin + each * BLOCK)
        d = tl.arange(0, HALF)
        wide = tl.arange(0, DIM)

        j = tl.arange(0, QP)
        new_place = first_new + j
        new = (j < QUERIES) & (new_place >= begin) & (new_place < end)
        source = qkv + (batch * QUERIES + j)[:, None] * WIDTH + (HEADS + head) * DIM
        k1 = tl.load(source + d[None, :], mask=new[:, None], other=0.0).to(tl.float32)
        k2 = tl.load(source + HALF + d[None, :], mask=new[:, None], other=0.0).to(tl.float32)
        if NORM:
            k1, k2 = _normed(k1, k2, k_norm, d, HALF, eps)
        c = tl.load(cos + new_place[:, None] * HALF + d[None, :], mask=new[:, None], other=0.0)
        s = tl.load(sin + new_place[:, None] * HALF + d[None, :], mask=new[:, None], other=0.0)
        v = tl.load(source + KV_HEADS * DIM + wide[None, :], mask=new[:, None], other=0.0)
        slot = tl.load(pages + new_place // PAGE, mask=new, other=0).to(tl.int64) * PAGE + new_place % PAGE
        target = slot[:, None] * (KV_HEADS * DIM) + head * DIM
        tl.store(keys + target + d[None, :], (k1 * c - k2 * s).to(keys.dtype.element_ty), mask=new[:, None])
        tl.store(
            keys + target + HALF + d[None, :], (k2 * c + k1 * s).to(keys.dtype.element_ty), mask=new[:, None]
        )
        tl.store(values + target + wide[None, :], v.to(values.dtype.element_ty), mask=new[:, None])

        m = tl.arange(0, MP)
        query = m // GROUP
        valid = m < GROUP * QUERIES
        q_place = first_new + query
        source = qkv + (batch * QUERIES + query)[:, None] * WIDTH + (head * GROUP + m % GROUP)[:, None] * DIM
        q1 = tl.load(source + d[None, :], mask=valid[:, None], other=0.0).to(tl.float32)
        q2 = tl.load(source + HALF + d[None, :], mask=valid[:, None], other=0.0).to(tl.float32)
        if NORM:
            q1, q2 = _normed(q1, q2, q_norm, d, HALF, eps)
        c = tl.load(cos + q_place[:, None] * HALF + d[None, :], mask=valid[:, None], other=0.0)
        s = tl.load(sin + q_place[:, None] * HALF + d[None, :], mask=valid[:, None], other=0.0)
        r1 = (q1 * c - q2 * s).to(keys.dtype.element_ty)
        r2 = (q2 * c + q1 * s).to(keys.dtype.element_ty)

        best = tl.full((MP,), float("-inf"), dtype=tl.float32)
        norm = tl.zeros((MP,), dtype=tl.float32)
        acc = tl.zeros((MP, DIM), dtype=tl.float32)
        tl.debug_barrier()  # the new keys and values are read back below
        for start in tl.range(begin, end, BLOCK, num_stages=STAGES):
            n = start + tl.arange(0, BLOCK)
            there = n < end
            held = tl.load(pages + n // PAGE, mask=there, other=0).to(tl.int64) * PAGE + n % PAGE
            line = held * (KV_HEADS * DIM) + head * DIM
            key1 = tl.load(keys + line[None, :] + d[:, None], mask=there[None, :], other=0.0)
            key2 = tl.load(keys + line[None, :] + HALF + d[:, None], mask=there[None, :], other=0.0)
            scores = tl.dot(r2, key2, tl.dot(r1, key1)) * scale
            scores = tl.where((n[None, :] <= q_place[:, None]) & there[None, :], scores, float("-inf"))
            now = tl.maximum(best, tl.max(scores, axis=1))
            safe = tl.where(now == float("-inf"), 0.0, now)
            shrink = tl.exp(best - safe)
            weights = tl.exp(scores - safe[:, None])
            norm = norm * shrink + tl.sum(weights, axis=1)
            value = tl.load(values + line[:, None] + wide[None, :], mask=there[:, None], other=0.0)
            acc = tl.dot(weights.to(value.dtype), value, acc * shrink[:, None])
            best = now

        place = (batch * QUERIES + query)[:, None] * (HEADS * DIM) + (head * GROUP + m % GROUP)[:, None] * DIM
        if parts == 1:
            tl.store(
                out + place + wide[None, :],
                (acc / norm[:, None]).to(out.dtype.element_ty),
                mask=valid[:, None],
            )
        else:
            group = (batch * KV_HEADS + head) * SPLITS
            own = (group + split) * MP + m
            tl.store(part_acc + own[:, None] * DIM + wide[None, :], acc, mask=valid[:, None])
            tl.store(part_max + own, best, mask=valid)
            tl.store(part_sum + own, norm, mask=valid)
            tl.debug_barrier()
            counter = counters + batch * KV_HEADS + head
            if tl.atomic_add(counter, 1, sem="acq_rel", scope="gpu") == parts - 1:
                best = tl.full((MP,), float("-inf"), dtype=tl.float32)
                norm = tl.zeros((MP,), dtype=tl.float32)
                acc = tl.zeros((MP, DIM), dtype=tl.float32)
                # unrolled, so that all loads are under way at once
                for other in tl.static_range(SPLITS):
                    at = (group + other) * MP + m
                    seen = valid & (other < parts)
                    its_best = tl.load(part_max + at, mask=seen, other=float("-inf"), cache_modifier=".cg")
                    best = tl.maximum(best, its_best)
                best = tl.where(best == float("-inf"), 0.0, best)
                for other in tl.static_range(SPLITS):
                    at = (group + other) * MP + m
                    seen = valid & (other < parts)
                    its_best = tl.load(part_max + at, mask=seen, other=float("-inf"), cache_modifier=".cg")
                    its_norm = tl.load(part_sum + at, mask=seen, other=0.0, cache_modifier=".cg")
                    its_acc = tl.load(
                        part_acc + at[:, None] * DIM + wide[None, :],
                        mask=seen[:, None],
                        other=0.0,
                        cache_modifier=".cg",
                    )
                    share = tl.exp(its_best - best)
                    norm += its_norm * share
                    acc += its_acc * share[:, None]
                result = (acc / norm[:, None]).to(out.dtype.element_ty)
                tl.store(out + place + wide[None, :], result, mask=valid[:, None])
                tl.store(counter, 0)
