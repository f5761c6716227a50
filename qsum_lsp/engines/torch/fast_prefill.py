"""A prefill with fused kernels between the matrix products, and the passes over a residual that it shares with large steps."""

import functools
import logging
from typing import TypeGuard

import torch
from torch.nn import functional as F  # noqa: N812 - its usual name

from qsum_lsp.engines.torch.attention import Backend
from qsum_lsp.engines.torch.kernels import elementwise, gate_up
from qsum_lsp.engines.torch.linear import Dense, Linear
from qsum_lsp.engines.torch.model import KvCache, Layer, Model, PrefillInput
from qsum_lsp.engines.torch.tilings import power_of_two
from qsum_lsp.engines.torch.trial import is_right

try:
    from triton.tools.tensor_descriptor import TensorDescriptor
except ImportError:  # before Triton 3.4
    TensorDescriptor = None

_log = logging.getLogger(__name__)

FUSED_TOKENS = 1024
"""Tokens from which one own kernel for the gate, the up and the activation is faster than cuBLAS and a kernel after it."""


def add_norm(
    delta: torch.Tensor | None, x: torch.Tensor, gain: torch.Tensor, h: torch.Tensor, eps: float
) -> None:
    """X += delta, h = rms_norm(x) * gain, all [T, hidden]."""
    width = x.shape[1]
    elementwise.add_norm[(x.shape[0],)](
        delta, x, gain, h, eps, HIDDEN=width, HP=power_of_two(width), ADD=delta is not None, num_warps=4
    )


def complete(
    weight: Linear, values: torch.Tensor, x: torch.Tensor, gain: torch.Tensor, h: torch.Tensor, eps: float
) -> None:
    """X += values · weightᵀ, h = rms_norm(x) * gain."""
    if isinstance(weight, Dense) and weight.bias is None:
        x.addmm_(values, weight.weight.t())  # rounds once, and saves a pass over the products
        add_norm(None, x, gain, h, eps)
    else:
        add_norm(weight(values), x, gain, h, eps)


def swiglu(gate_up: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up of [T, 2 I] as [T, I]."""
    rows, size = gate_up.shape[0], gate_up.shape[1] // 2
    out = torch.empty(rows, size, dtype=gate_up.dtype, device=gate_up.device)
    elementwise.silu_mul[(rows, -(-size // 2048))](
        gate_up, None, out, 0, 0.0, SIZE=size, BLOCK=2048, WIDTH=1, COUNT=1, NORM=False, num_warps=4
    )
    return out


def activated(weight: Linear, h: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up [T, I] of normed residuals [T, hidden], by the ``weight`` of both [2 I, hidden]."""
    if not _fuses(weight, h):
        return swiglu(weight(h))
    programs = torch.cuda.get_device_properties(h.device).multi_processor_count
    return fused(weight.weight, h, programs)


def fused(weight: torch.Tensor, h: torch.Tensor, programs: int) -> torch.Tensor:
    """What ``activated`` gives, by one kernel of so many programs; hidden is a multiple of 64, I of 128."""
    rows, wide, block = (
        128,
        128,
        64,
    )  # with four stages they fill the shared memory of a Hopper multiprocessor
    size, hidden = weight.shape[0] // 2, weight.shape[1]
    out = torch.empty(h.shape[0], size, dtype=h.dtype, device=h.device)
    gate_up.swiglu[(programs,)](
        TensorDescriptor.from_tensor(h, [rows, block]),
        TensorDescriptor.from_tensor(weight.view(2, size, hidden), [2, wide, block]),
        TensorDescriptor.from_tensor(out, [rows, wide]),
        ROWS=rows, WIDE=wide, BLOCK=block, GROUP=16, num_warps=8, num_stages=4,
    )  # fmt: skip
    return out


def _fuses(weight: Linear, h: torch.Tensor) -> TypeGuard[Dense]:
    return (
        h.is_cuda
        and isinstance(weight, Dense)
        and weight.bias is None
        and h.shape[0] >= FUSED_TOKENS
        and h.dtype == torch.bfloat16
        and weight.in_features % 64 == 0
        and weight.out_features % 256 == 0
        and _fused_works(h.device)
    )


@functools.cache
def _fused_works(device: torch.device) -> bool:
    # tried once on a small product, while the engine warms up: other Triton versions may not compile it, or wrongly
    if TensorDescriptor is None or torch.cuda.get_device_capability(device)[0] != 9:
        return False
    chance = torch.Generator(device).manual_seed(0)
    h, weight = (
        torch.randn(size, generator=chance, device=device).to(torch.bfloat16)
        for size in ((200, 64), (256, 64))
    )
    try:
        got = fused(weight, h, 2).float()
    except Exception as error:  # a compiler can fail in any way
        _log.warning("Prefills go without the fused gate and up: %s", error, exc_info=error)
        return False
    gate, up = (h.float() @ weight.float().t()).chunk(2, dim=-1)
    wanted = F.silu(gate) * up
    right = is_right(got, wanted)
    if not right:
        _log.warning("Prefills go without the fused gate and up: its result is wrong on %s", device)
    return right


def best_token(h: torch.Tensor, head: Dense) -> torch.Tensor:
    """The likeliest token [n] after each normed residual [n, hidden], from float32 logits."""
    if h.is_cuda and h.dtype != torch.float32:
        return torch.mm(h, head.weight.t(), out_dtype=torch.float32).argmax(dim=-1)
    return F.linear(h, head.weight).argmax(dim=-1)


def prefill(model: Model, batch: PrefillInput, cache: KvCache, attend: Backend) -> torch.Tensor:
    """What ``Model.prefill`` computes, with fused kernels between the matrix products."""
    shape = model.shape
    layers: list[Layer] = list(model.layers)
    x = F.embedding(batch.tokens, model.embedding)
    h = torch.empty_like(x)
    add_norm(None, x, layers[0].input_norm, h, shape.norm_eps)
    for index, layer in enumerate(layers):
        keys, values = cache.keys[index], cache.values[index]
        qkv = layer.qkv(h)
        elementwise.rotate_and_store[(x.shape[0],)](
            qkv, batch.positions, batch.write, model.cos, model.sin, layer.q_norm, layer.k_norm, keys, values,
            shape.norm_eps, HEADS=shape.heads, KV_HEADS=shape.kv_heads, HALF=shape.head_dim // 2,
            HP=power_of_two(shape.heads + shape.kv_heads), KP=power_of_two(shape.kv_heads), NORM=layer.q_norm is not None,
            num_warps=4,
        )  # fmt: skip
        q, k, v = qkv.view(x.shape[0], -1, shape.head_dim).split(
            (shape.heads, shape.kv_heads, shape.kv_heads), dim=1
        )
        if batch.context is not None:
            k, v = keys[batch.context], values[batch.context]
        attended = attend(q, k, v, batch.packed).reshape(x.shape[0], -1)
        if index + 1 == len(layers):
            # past the last layer's keys and values only the last tokens matter
            attended, x, h = attended[batch.last], x[batch.last], h[batch.last]
        complete(layer.out, attended, x, layer.post_norm, h, shape.norm_eps)
        activation = activated(layer.gate_up, h)
        gain = layers[index + 1].input_norm if index + 1 < len(layers) else model.norm
        complete(layer.down, activation, x, gain, h, shape.norm_eps)
    return best_token(h, model.head)
