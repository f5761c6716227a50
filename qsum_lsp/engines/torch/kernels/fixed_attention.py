"""Attention of a step with few tokens, cut at fixed places and added up in a fixed order, whatever else is in the step.

So a token that is verified among drafts gets the very bits that it gets alone. ``attention`` is faster for many tokens.
"""

import triton
import triton.language as tl

from qsum_lsp.engines.torch.kernels.attention import _normed
from qsum_lsp.engines.torch.kernels.linear import _let_go, _wait


@triton.jit
def _lines(pages, n, seen, head, KV_HEADS: tl.constexpr, DIM: tl.constexpr, PAGE: tl.constexpr):
    held = tl.load(pages + n // PAGE, mask=seen, other=0).to(tl.int64) * PAGE + n % PAGE
    return held * (KV_HEADS * DIM) + head * DIM


@triton.jit
def _absorb(best, norm, acc, r1, r2, key1, key2, value, seen, scale):
    # one block of keys and values more (Milakov and Gimelshein, 2018, online softmax)
    scores = tl.dot(r2, key2, tl.dot(r1, key1)) * scale
    scores = tl.where(seen[None, :], scores, float("-inf"))
    now = tl.maximum(best, tl.max(scores, axis=1))
    safe = tl.where(now == float("-inf"), 0.0, now)
    shrink = tl.exp(best - safe)
    weights = tl.exp(scores - safe[:, None])
    norm = norm * shrink + tl.sum(weights, axis=1)
    acc = tl.dot(weights.to(value.dtype), value, acc * shrink[:, None])
    return now, norm, acc


@triton.jit(do_not_specialize=["table_stride", "ahead"])
def attend(
    qkv, cos, sin, q_norm, k_norm, keys, values, table, length, rows, out, part_acc, part_max, part_sum, counters,
    table_stride, ahead, eps, scale,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, HALF: tl.constexpr, QUERIES: tl.constexpr, QP: tl.constexpr,
    MP: tl.constexpr, GP: tl.constexpr, SPLITS: tl.constexpr, BLOCK: tl.constexpr, PAGE: tl.constexpr,
    NORM: tl.constexpr, STAGES: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """One program: one token, one key head and its GROUP query heads, every SPLITS-th block of the context.

    Rotates (and norms) queries and new keys, writes new keys and values to the cache, attends causally. ``out``
    [B * QUERIES, HEADS * 2 HALF]. The last program of a token and head to arrive combines the parts. The program's
    first block is read before the kernel before has ended.
    """
    _let_go(PDL)
    token = tl.program_id(0)
    head = tl.program_id(1)
    split = tl.program_id(2)
    GROUP: tl.constexpr = HEADS // KV_HEADS
    DIM: tl.constexpr = 2 * HALF
    WIDTH: tl.constexpr = (HEADS + 2 * KV_HEADS) * DIM
    # rows, lengths, pages and earlier keys and values do not change during a step: they are read before the wait
    batch = token // QUERIES
    own = token % QUERIES
    row = tl.load(rows + batch)
    first_new = tl.load(length + row) - 1 + ahead
    place = first_new + own
    blocks = place // BLOCK + 1
    parts = tl.minimum(blocks, SPLITS)
    pages = table + row * table_stride
    d = tl.arange(0, HALF)
    wide = tl.arange(0, DIM)
    early_n = split * BLOCK + tl.arange(0, BLOCK)
    old = early_n < first_new
    line = _lines(pages, early_n, old, head, KV_HEADS, DIM, PAGE)
    key1 = tl.load(keys + line[None, :] + d[:, None], mask=old[None, :], other=0.0)
    key2 = tl.load(keys + line[None, :] + HALF + d[:, None], mask=old[None, :], other=0.0)
    value = tl.load(values + line[:, None] + wide[None, :], mask=old[:, None], other=0.0)
    q_cos = tl.load(cos + place * HALF + d)
    q_sin = tl.load(sin + place * HALF + d)
    _wait(PDL)
    if split < parts:
        m = tl.arange(0, MP)
        valid = m < GROUP
        source = qkv + token * WIDTH + (head * GROUP + m)[:, None] * DIM
        q1 = tl.load(source + d[None, :], mask=valid[:, None], other=0.0).to(tl.float32)
        q2 = tl.load(source + HALF + d[None, :], mask=valid[:, None], other=0.0).to(tl.float32)

        # the step's tokens up to this one, as far as they fall into this program's blocks
        j = tl.arange(0, QP)
        new_place = first_new + j
        new = (j <= own) & ((new_place // BLOCK) % SPLITS == split)
        source = qkv + (batch * QUERIES + j)[:, None] * WIDTH + (HEADS + head) * DIM
        k1 = tl.load(source + d[None, :], mask=new[:, None], other=0.0).to(tl.float32)
        k2 = tl.load(source + HALF + d[None, :], mask=new[:, None], other=0.0).to(tl.float32)
        v = tl.load(source + KV_HEADS * DIM + wide[None, :], mask=new[:, None], other=0.0)
        c = tl.load(cos + new_place[:, None] * HALF + d[None, :], mask=new[:, None], other=0.0)
        s = tl.load(sin + new_place[:, None] * HALF + d[None, :], mask=new[:, None], other=0.0)
        if NORM:
            q1, q2 = _normed(q1, q2, q_norm, d, HALF, eps)
            k1, k2 = _normed(k1, k2, k_norm, d, HALF, eps)
        kind = keys.dtype.element_ty
        n1 = (k1 * c - k2 * s).to(kind)
        n2 = (k2 * c + k1 * s).to(kind)
        v = v.to(kind)
        target = _lines(pages, new_place, new, head, KV_HEADS, DIM, PAGE)[:, None]
        tl.store(keys + target + d[None, :], n1, mask=new[:, None])
        tl.store(keys + target + HALF + d[None, :], n2, mask=new[:, None])
        tl.store(values + target + wide[None, :], v, mask=new[:, None])
        r1 = (q1 * q_cos[None, :] - q2 * q_sin[None, :]).to(kind)
        r2 = (q2 * q_cos[None, :] + q1 * q_sin[None, :]).to(kind)

        best = tl.full((MP,), float("-inf"), dtype=tl.float32)
        norm = tl.zeros((MP,), dtype=tl.float32)
        acc = tl.zeros((MP, DIM), dtype=tl.float32)
        begin = split
        if (split + 1) * BLOCK <= first_new:  # nothing in it is new
            begin += SPLITS
            best, norm, acc = _absorb(best, norm, acc, r1, r2, key1, key2, value, early_n <= place, scale)
        tl.debug_barrier()  # the new keys and values are read back below
        for block in tl.range(begin, blocks, SPLITS, num_stages=STAGES):
            n = block * BLOCK + tl.arange(0, BLOCK)
            there = n <= place
            line = _lines(pages, n, there, head, KV_HEADS, DIM, PAGE)
            late1 = tl.load(keys + line[None, :] + d[:, None], mask=there[None, :], other=0.0)
            late2 = tl.load(keys + line[None, :] + HALF + d[:, None], mask=there[None, :], other=0.0)
            late = tl.load(values + line[:, None] + wide[None, :], mask=there[:, None], other=0.0)
            best, norm, acc = _absorb(best, norm, acc, r1, r2, late1, late2, late, there, scale)

        result = out + token * (HEADS * DIM) + head * GROUP * DIM
        if parts == 1:
            tl.store(
                result + m[:, None] * DIM + wide[None, :],
                (acc / norm[:, None]).to(out.dtype.element_ty),
                mask=valid[:, None],
            )
        else:
            group = (token * KV_HEADS + head) * SPLITS
            spot = (group + split) * GP + m
            tl.store(part_acc + spot[:, None] * DIM + wide[None, :], acc, mask=valid[:, None])
            tl.store(part_max + spot, best, mask=valid)
            tl.store(part_sum + spot, norm, mask=valid)
            tl.debug_barrier()
            counter = counters + token * KV_HEADS + head
            if tl.atomic_add(counter, 1, sem="acq_rel", scope="gpu") == parts - 1:
                # all loads are under way at once
                part = tl.arange(0, SPLITS)
                g = tl.arange(0, GP)
                at = (group + part[:, None]) * GP + g[None, :]
                seen = (part < parts)[:, None] & (g < GROUP)[None, :]
                their_acc = tl.load(
                    part_acc + at[:, :, None] * DIM + wide[None, None, :],
                    mask=seen[:, :, None],
                    other=0.0,
                    cache_modifier=".cg",
                )
                their_best = tl.load(part_max + at, mask=seen, other=float("-inf"), cache_modifier=".cg")
                their_norm = tl.load(part_sum + at, mask=seen, other=0.0, cache_modifier=".cg")
                top = tl.max(their_best, axis=0)
                top = tl.where(top == float("-inf"), 0.0, top)
                share = tl.exp(their_best - top[None, :])
                whole = tl.sum(their_norm * share, axis=0)
                mixed = tl.sum(their_acc * share[:, :, None], axis=0)
                tl.store(
                    result + g[:, None] * DIM + wide[None, :],
                    (mixed / whole[:, None]).to(out.dtype.element_ty),
                    mask=(g < GROUP)[:, None],
                )
                tl.store(counter, 0)
