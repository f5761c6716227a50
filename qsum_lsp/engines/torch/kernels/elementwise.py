"""Small kernels around the matrix products: embedding, norms, rotation, activation, and the step's bookkeeping."""

import triton
import triton.language as tl

from qsum_lsp.engines.torch.kernels.linear import _let_go, _wait


@triton.jit
def embed(
    tokens, table, gain, x, h, ssq, HIDDEN: tl.constexpr, HP: tl.constexpr, COUNT: tl.constexpr, PDL: tl.constexpr
):  # fmt: skip
    """X = table[token], h = x * gain, ssq[m, 0] = Σ x²; one program a token."""
    # Nothing of a pass may start before this kernel has ended: the attention reads the lengths, and the keys and
    # values of the passes before, ahead of its own wait.
    _wait(PDL)
    m = tl.program_id(0)
    d = tl.arange(0, HP)
    mask = d < HIDDEN
    token = tl.load(tokens + m).to(tl.int64)
    row = tl.load(table + token * HIDDEN + d, mask=mask, other=0.0).to(tl.float32)
    g = tl.load(gain + d, mask=mask, other=0.0).to(tl.float32)
    tl.store(x + m * HIDDEN + d, row, mask=mask)
    tl.store(h + m * HIDDEN + d, (row * g).to(h.dtype.element_ty), mask=mask)
    tl.store(ssq + m * COUNT, tl.sum(row * row))


@triton.jit(do_not_specialize=["blocks"])
def pick(best, index, picked, blocks, BLOCK: tl.constexpr, PDL: tl.constexpr):
    """picked[m] = index of the best of ``blocks`` candidates, the lowest where they tie; one program a row."""
    _let_go(PDL)
    _wait(PDL)
    m = tl.program_id(0)
    top = tl.full((BLOCK,), float("-inf"), dtype=tl.float32)
    where = tl.full((BLOCK,), 2147483647, dtype=tl.int32)
    for start in range(0, blocks, BLOCK):
        i = start + tl.arange(0, BLOCK)
        value = tl.load(best + m * blocks + i, mask=i < blocks, other=float("-inf"))
        place = tl.load(index + m * blocks + i, mask=i < blocks, other=2147483647)
        better = (value > top) | ((value == top) & (place < where))
        top = tl.where(better, value, top)
        where = tl.where(better, place, where)
    highest = tl.max(top, axis=0)
    tl.store(picked + m, tl.min(tl.where(top == highest, where, 2147483647), axis=0).to(tl.int64))


@triton.jit
def add_norm(
    delta, x, gain, h, eps, HIDDEN: tl.constexpr, HP: tl.constexpr, ADD: tl.constexpr
):  # fmt: skip
    """X += delta (where ADD), h = rms_norm(x) * gain; one program a row."""
    m = tl.program_id(0).to(tl.int64)
    d = tl.arange(0, HP)
    mask = d < HIDDEN
    row = tl.load(x + m * HIDDEN + d, mask=mask, other=0.0).to(tl.float32)
    if ADD:
        row += tl.load(delta + m * HIDDEN + d, mask=mask, other=0.0).to(tl.float32)
        tl.store(x + m * HIDDEN + d, row.to(x.dtype.element_ty), mask=mask)
    scale = tl.rsqrt(tl.sum(row * row) / HIDDEN + eps)
    g = tl.load(gain + d, mask=mask, other=0.0).to(tl.float32)
    tl.store(h + m * HIDDEN + d, (row * scale * g).to(h.dtype.element_ty), mask=mask)


@triton.jit
def silu_mul(
    gate_up, ssq, out, count, eps,
    SIZE: tl.constexpr, BLOCK: tl.constexpr, WIDTH: tl.constexpr, COUNT: tl.constexpr, NORM: tl.constexpr,
):  # fmt: skip
    """out[m] = silu(gate_up[m, :SIZE]) * gate_up[m, SIZE:].

    With NORM the products are of residuals of WIDTH that are not normed yet; ssq[m, :count] add up to their Σ x².
    """
    m = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = d < SIZE
    gate = tl.load(gate_up + m * 2 * SIZE + d, mask=mask, other=0.0).to(tl.float32)
    up = tl.load(gate_up + m * 2 * SIZE + SIZE + d, mask=mask, other=0.0).to(tl.float32)
    if NORM:
        part = tl.arange(0, COUNT)
        sums = tl.load(ssq + m * COUNT + part, mask=part < count, other=0.0)
        rms = tl.rsqrt(tl.sum(sums) / WIDTH + eps)
        gate *= rms
        up *= rms
    tl.store(out + m * SIZE + d, (gate / (1 + tl.exp(-gate)) * up).to(out.dtype.element_ty), mask=mask)


@triton.jit
def rotate_and_store(
    qkv, positions, write, cos, sin, q_norm, k_norm, keys, values, eps,
    HEADS: tl.constexpr, KV_HEADS: tl.constexpr, HALF: tl.constexpr, HP: tl.constexpr, KP: tl.constexpr,
    NORM: tl.constexpr,
):  # fmt: skip
    """Norm and rotate the queries and keys of a prefill in place; write keys and values to the cache."""
    t = tl.program_id(0).to(tl.int64)
    DIM: tl.constexpr = 2 * HALF
    d = tl.arange(0, HALF)
    place = tl.load(positions + t)
    slot = tl.load(write + t).to(tl.int64)
    c = tl.load(cos + place * HALF + d)[None, :]
    s = tl.load(sin + place * HALF + d)[None, :]
    base = qkv + t * (HEADS + 2 * KV_HEADS) * DIM
    head = tl.arange(0, HP)
    mask = (head < HEADS + KV_HEADS)[:, None]
    at = base + head[:, None] * DIM + d[None, :]
    a = tl.load(at, mask=mask, other=0.0).to(tl.float32)
    b = tl.load(at + HALF, mask=mask, other=0.0).to(tl.float32)
    if NORM:
        scale = tl.rsqrt((tl.sum(a * a, axis=1) + tl.sum(b * b, axis=1)) / DIM + eps)[:, None]
        is_q = (head < HEADS)[:, None]
        a *= scale * tl.where(
            is_q, tl.load(q_norm + d).to(tl.float32)[None, :], tl.load(k_norm + d).to(tl.float32)[None, :]
        )
        b *= scale * tl.where(
            is_q,
            tl.load(q_norm + HALF + d).to(tl.float32)[None, :],
            tl.load(k_norm + HALF + d).to(tl.float32)[None, :],
        )
    first = (a * c - b * s).to(qkv.dtype.element_ty)
    second = (b * c + a * s).to(qkv.dtype.element_ty)
    tl.store(at, first, mask=mask)
    tl.store(at + HALF, second, mask=mask)
    is_key = mask & (head >= HEADS)[:, None]
    target = keys + slot * KV_HEADS * DIM + (head - HEADS)[:, None] * DIM + d[None, :]
    tl.store(target, first, mask=is_key)
    tl.store(target + HALF, second, mask=is_key)
    kv = tl.arange(0, KP)
    wide = tl.arange(0, DIM)
    is_value = (kv < KV_HEADS)[:, None]
    value = tl.load(base + (HEADS + KV_HEADS + kv)[:, None] * DIM + wide[None, :], mask=is_value, other=0.0)
    tl.store(values + slot * KV_HEADS * DIM + kv[:, None] * DIM + wide[None, :], value, mask=is_value)


@triton.jit(do_not_specialize=["history_stride", "last_place"])
def begin(
    rows, history, length, drafts, tokens, positions, history_stride, last_place,
    QUERIES: tl.constexpr, QP: tl.constexpr, LOOKUP: tl.constexpr, NGRAM: tl.constexpr, BLOCK: tl.constexpr,
    PDL: tl.constexpr,
):  # fmt: skip
    """The step's tokens [B, QUERIES] (the last known one, then the drafts) and their positions; a program a row.

    With LOOKUP the drafts are those of ``speculation.PromptLookup``, else they are read from ``drafts``.
    """
    # Nothing may start before this kernel has ended: the attention reads lengths ahead of its own wait, and the
    # step before may still be changing them.
    _wait(PDL)
    b = tl.program_id(0)
    row = tl.load(rows + b)
    known = tl.load(length + row)
    j = tl.arange(0, QP)
    drafted = (j > 0) & (j < QUERIES)
    own = history + row * history_stride
    last = tl.load(own + known - 1).to(tl.int64)
    if LOOKUP:
        LONGEST: tl.constexpr = 1 << 24
        top = tl.full((BLOCK,), 0, dtype=tl.int32)
        for start in range(0, known - 1, BLOCK):
            i = start + tl.arange(0, BLOCK)
            run = i < known - 1
            matched = tl.zeros((BLOCK,), dtype=tl.int32)
            for back in tl.static_range(NGRAM):
                wanted = tl.load(own + tl.maximum(known - 1 - back, 0))
                run = run & (i >= back)
                run = run & (tl.load(own + i - back, mask=run, other=-1) == wanted)
                matched += run.to(tl.int32)
            top = tl.maximum(top, tl.where(i < known - 1, (matched + 1) * LONGEST - i, 0))
        place = (LONGEST - tl.max(top, axis=0) % LONGEST) % LONGEST + j
        draft = tl.load(own + tl.minimum(place, last_place), mask=drafted, other=0).to(tl.int64)
    else:
        draft = tl.load(drafts + b * (QUERIES - 1) + j - 1, mask=drafted, other=0).to(tl.int64)
    tl.store(tokens + b * QUERIES + j, tl.where(j == 0, last, draft), mask=j < QUERIES)
    place = tl.minimum(known - 1 + j, last_place)
    tl.store(positions + b * QUERIES + j, place.to(tl.int64), mask=j < QUERIES)


@triton.jit(do_not_specialize=["history_stride", "stop_count", "last_place"])
def accept(
    rows, history, length, limit, done, stops, tokens, picked, output, history_stride, stop_count, last_place,
    QUERIES: tl.constexpr, QP: tl.constexpr, SP: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """Keep the drafts that were picked, up to a stop token or the limit; a program a row. See DecodeStep."""
    _let_go(PDL)
    _wait(PDL)
    b = tl.program_id(0)
    row = tl.load(rows + b)
    known = tl.load(length + row)
    top = tl.load(limit + row)
    idle = tl.load(done + row)
    j = tl.arange(0, QP)
    inside = j < QUERIES
    choice = tl.load(picked + b * QUERIES + j, mask=inside, other=-2).to(tl.int32)
    draft = tl.load(tokens + b * QUERIES + j + 1, mask=j < QUERIES - 1, other=-3).to(tl.int32)
    # a draft is wrong from the first place on where it differs from the choice
    kept = tl.min(tl.where(inside & (choice != draft), j, QP), axis=0) + 1
    s = tl.arange(0, SP)
    stop = tl.load(stops + s, mask=s < stop_count, other=-1)
    is_stop = (tl.sum((choice[:, None] == stop[None, :]).to(tl.int32), axis=1) > 0) & inside
    until = tl.min(tl.where(is_stop, j, QP), axis=0) + 1
    count = tl.minimum(tl.minimum(kept, until), tl.minimum(top - known, QUERIES))
    count = tl.where(idle == 0, count, 0)
    place = known + j
    tl.store(history + row * history_stride + place, choice, mask=(j < count) & (place <= last_place))
    tl.store(length + row, known + count)
    over = (tl.sum((is_stop & (j < count)).to(tl.int32), axis=0) > 0) | (known + count >= top)
    tl.store(done + row, tl.where(over, 1, idle))
    tl.store(output + b * (QUERIES + 1), count)
    tl.store(output + b * (QUERIES + 1) + 1 + j, choice, mask=inside)
