"""Qwen2, Qwen3 and Llama decoders in plain PyTorch, over a paged key-value cache.

This is the reference: it runs on every device, and the Triton kernels must give what it gives.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name

from qsum_lsp.engines.torch.attention import Backend, Packed
from qsum_lsp.engines.torch.linear import Dense, Linear
from qsum_lsp.engines.torch.pages import PAGE_TOKENS
from qsum_lsp.engines.torch.shape import ModelShape


class KvCache:
    """Keys and values of all layers: per layer [pages * PAGE_TOKENS, kv_heads, head_dim]."""

    def __init__(self, shape: ModelShape, pages: int, dtype: torch.dtype, device: torch.device) -> None:
        sizes = (shape.layers, pages * PAGE_TOKENS, shape.kv_heads, shape.head_dim)
        self.pages = pages
        self.keys = torch.zeros(sizes, dtype=dtype, device=device)
        self.values = torch.zeros(sizes, dtype=dtype, device=device)


def page_bytes(shape: ModelShape, dtype: torch.dtype) -> int:
    """Memory of one page over all layers."""
    return 2 * shape.layers * PAGE_TOKENS * shape.kv_size * dtype.itemsize


class StepPlaces(NamedTuple):
    """Where the tokens of a decode step stand.

    Cosines and sines [B * Q, dim / 2], the cache slots they are written to [B * Q], the slots of each row's
    context [B, L] and which of them each query sees [B, 1, Q, L].
    """

    cos: torch.Tensor
    sin: torch.Tensor
    write: torch.Tensor
    context: torch.Tensor
    mask: torch.Tensor


def apply_rope(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate [T, heads, dim] by [T, dim / 2] angles, halves paired (Su et al., 2021, as in GPT-NeoX)."""
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)


class Layer(nn.Module):
    """One decoder layer with fused query-key-value and gate-up projections."""

    def __init__(
        self,
        shape: ModelShape,
        *,
        qkv: Linear,
        out: Linear,
        gate_up: Linear,
        down: Linear,
        input_norm: torch.Tensor,
        post_norm: torch.Tensor,
        q_norm: torch.Tensor | None,
        k_norm: torch.Tensor | None,
    ) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = shape.heads, shape.kv_heads, shape.head_dim
        self.eps = shape.norm_eps
        self.qkv, self.out, self.gate_up, self.down = qkv, out, gate_up, down
        self.register_buffer("input_norm", input_norm)
        self.register_buffer("post_norm", post_norm)
        self.register_buffer("q_norm", q_norm)
        self.register_buffer("k_norm", k_norm)
        self.input_norm: torch.Tensor
        self.post_norm: torch.Tensor
        self.q_norm: torch.Tensor | None
        self.k_norm: torch.Tensor | None

    def project(
        self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Rotated queries [T, heads, dim], rotated keys and values [T, kv_heads, dim] of the residual ``x``."""
        hidden = F.rms_norm(x, x.shape[-1:], self.input_norm, self.eps)
        fused = self.qkv(hidden).view(x.shape[0], -1, self.head_dim)
        q, k, v = fused.split((self.heads, self.kv_heads, self.kv_heads), dim=1)
        if self.q_norm is not None and self.k_norm is not None:
            q = F.rms_norm(q, q.shape[-1:], self.q_norm, self.eps)
            k = F.rms_norm(k, k.shape[-1:], self.k_norm, self.eps)
        return apply_rope(q, cos, sin), apply_rope(k, cos, sin), v

    def complete(self, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """The residual after the attention's output projection and the feed-forward part."""
        x = x + self.out(attended.reshape(x.shape[0], -1))
        hidden = F.rms_norm(x, x.shape[-1:], self.post_norm, self.eps)
        gate, up = self.gate_up(hidden).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)

    def step(
        self, x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, places: StepPlaces
    ) -> torch.Tensor:
        """The layer over the tokens of a decode step: residual [B * Q, hidden] to residual."""
        batch, queries = places.mask.shape[0], places.mask.shape[2]
        q, k, v = self.project(x, places.cos, places.sin)
        keys.index_copy_(0, places.write, k)
        values.index_copy_(0, places.write, v)
        attended = F.scaled_dot_product_attention(
            q.view(batch, queries, self.heads, self.head_dim).transpose(1, 2),
            keys[places.context].transpose(1, 2),
            values[places.context].transpose(1, 2),
            attn_mask=places.mask,
            enable_gqa=True,
        )
        return self.complete(x, attended.transpose(1, 2))


class PrefillInput(NamedTuple):
    """Prompt tokens of several sequences, packed: ids, positions and cache slots [T] each.

    ``context`` are the cache slots of all tokens up to each sequence's last, or None where every sequence
    starts at its beginning; ``last`` the indices of the tokens whose successor is wanted.
    """

    tokens: torch.Tensor
    positions: torch.Tensor
    write: torch.Tensor
    context: torch.Tensor | None
    packed: Packed
    last: torch.Tensor


class Model(nn.Module):
    """A decoder whose weights are on their device; ``rope`` are cosines and sines by position."""

    def __init__(
        self,
        shape: ModelShape,
        *,
        embedding: torch.Tensor,
        layers: list[Layer],
        norm: torch.Tensor,
        head: Dense,
        rope: tuple[torch.Tensor, torch.Tensor],
    ) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.ModuleList(layers)
        self.head = head
        self.register_buffer("embedding", embedding)
        self.register_buffer("norm", norm)
        self.register_buffer("cos", rope[0])
        self.register_buffer("sin", rope[1])
        self.embedding: torch.Tensor
        self.norm: torch.Tensor
        self.cos: torch.Tensor
        self.sin: torch.Tensor

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.embedding.device

    @property
    def dtype(self) -> torch.dtype:
        """What is computed in."""
        return self.embedding.dtype

    def pick(self, x: torch.Tensor) -> torch.Tensor:
        """The likeliest next token [n] after each residual [n, hidden]."""
        hidden = F.rms_norm(x, x.shape[-1:], self.norm, self.shape.norm_eps)
        return self.head(hidden).argmax(dim=-1)

    def prefill(self, batch: PrefillInput, cache: KvCache, attend: Backend) -> torch.Tensor:
        """Fill the cache from prompt tokens; the likeliest successor of each of ``batch.last``."""
        x = F.embedding(batch.tokens, self.embedding)
        cos, sin = self.cos[batch.positions], self.sin[batch.positions]
        for index, layer in enumerate(self.layers):
            q, k, v = layer.project(x, cos, sin)
            keys, values = cache.keys[index], cache.values[index]
            keys.index_copy_(0, batch.write, k)
            values.index_copy_(0, batch.write, v)
            if batch.context is not None:
                k, v = keys[batch.context], values[batch.context]
            attended = attend(q, k, v, batch.packed)
            if index + 1 == len(self.layers):
                # past the last layer's keys and values only the last tokens matter
                x, attended = x[batch.last], attended[batch.last]
            x = layer.complete(x, attended)
        return self.pick(x)
