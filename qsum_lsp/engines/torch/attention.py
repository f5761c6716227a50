"""Attention of a prefill: causal, over packed sequences of unequal length, with grouped heads.

Every backend takes queries [T, heads, dim], keys and values [C, kv_heads, dim] of the same sequences one after
the other, and the limits of each sequence. A sequence may have fewer queries than keys: then its queries are
the last of its positions (chunked prefill, reused beginnings).
"""

import importlib
import importlib.util
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F  # noqa: N812 - its usual name

from qsum_lsp.engines.torch.trial import is_right
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.settings.values import Attention

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Packed:
    """Limits of packed sequences, on the device (int32 [n + 1]) and on the host.

    ``masks`` keeps what each query may see, by the lengths of a sequence's queries and keys, for the layers to come.
    """

    q_starts: torch.Tensor
    k_starts: torch.Tensor
    q_lengths: Sequence[int]
    k_lengths: Sequence[int]
    masks: dict[tuple[int, int], torch.Tensor] = field(default_factory=dict)


Backend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Packed], torch.Tensor]


def eager(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, packed: Packed) -> torch.Tensor:
    """softmax(Q Kᵀ / √d) V written out, one sequence after the other."""
    out = torch.empty_like(q)
    groups = q.shape[1] // k.shape[1]
    for rows, columns in _sequences(packed):
        mask = _mask(packed, rows, columns, q.device)
        keys = k[columns].repeat_interleave(groups, dim=1)
        values = v[columns].repeat_interleave(groups, dim=1)
        scores = torch.einsum("qhd,khd->hqk", q[rows], keys).float() / q.shape[2] ** 0.5
        weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1).to(q.dtype)
        out[rows] = torch.einsum("hqk,khd->qhd", weights, values)
    return out


def sdpa(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, packed: Packed) -> torch.Tensor:
    """PyTorch's scaled_dot_product_attention, one sequence after the other."""
    out = torch.empty_like(q)
    for rows, columns in _sequences(packed):
        whole = rows.stop - rows.start == columns.stop - columns.start
        out[rows] = F.scaled_dot_product_attention(
            q[rows].transpose(0, 1)[None],
            k[columns].transpose(0, 1)[None],
            v[columns].transpose(0, 1)[None],
            attn_mask=None if whole else _mask(packed, rows, columns, q.device),
            is_causal=whole,
            enable_gqa=True,
        )[0].transpose(0, 1)
    return out


def _sequences(packed: Packed) -> Iterator[tuple[slice, slice]]:
    row = column = 0
    for q_length, k_length in zip(packed.q_lengths, packed.k_lengths, strict=True):
        yield slice(row, row + q_length), slice(column, column + k_length)
        row, column = row + q_length, column + k_length


def _mask(packed: Packed, rows: slice, columns: slice, device: torch.device) -> torch.Tensor:
    lengths = rows.stop - rows.start, columns.stop - columns.start
    if lengths not in packed.masks:
        every = torch.ones(lengths, dtype=torch.bool, device=device)
        packed.masks[lengths] = every.tril(lengths[1] - lengths[0])
    return packed.masks[lengths]


def _flash(module: str) -> Backend:
    function = importlib.import_module(module).flash_attn_varlen_func

    def flash(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, packed: Packed) -> torch.Tensor:
        out = function(
            q,
            k,
            v,
            cu_seqlens_q=packed.q_starts,
            cu_seqlens_k=packed.k_starts,
            max_seqlen_q=max(packed.q_lengths),
            max_seqlen_k=max(packed.k_lengths),
            causal=True,
        )
        result: torch.Tensor = out[0] if isinstance(out, tuple) else out
        return result

    return flash


def _flash_of_pytorch(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, packed: Packed) -> torch.Tensor:
    """FlashAttention 2 as PyTorch itself contains it, for packed sequences."""
    found: tuple[torch.Tensor, ...] = torch.ops.aten._flash_attention_forward(
        q,
        k,
        v,
        packed.q_starts,
        packed.k_starts,
        max(packed.q_lengths),
        max(packed.k_lengths),
        0.0,
        True,  # causal
        return_debug_mask=False,
    )
    return found[0]


def agrees(backend: Backend, device: torch.device) -> bool:
    """Whether ``backend`` runs on ``device`` and gives what ``sdpa`` gives.

    Tried with a whole prompt, one whose beginning is in the cache, and padding without keys, which gives zeros.
    """
    queries, keys = [40, 30, 10], [40, 100, 0]
    chance = torch.Generator(device).manual_seed(0)

    def values(tokens: int, heads: int) -> torch.Tensor:
        sizes = (tokens, heads, 64)
        return torch.randn(sizes, generator=chance, device=device).to(torch.bfloat16)

    q, k, v = values(sum(queries), 4), values(sum(keys), 2), values(sum(keys), 2)
    starts = [torch.tensor([0, *lengths], device=device).cumsum(0).int() for lengths in (queries, keys)]
    try:
        got = backend(q, k, v, Packed(starts[0], starts[1], queries, keys)).float()
    except Exception as error:  # not built in, or called in another way than in this version of PyTorch
        _log.info("An attention is not used, because it fails: %s", error)
        return False
    rest = q.shape[0] - queries[-1]
    wanted = torch.zeros_like(got)
    wanted[:rest] = sdpa(q[:rest], k, v, Packed(starts[0], starts[1], queries[:-1], keys[:-1])).float()
    return is_right(got, wanted)


_FLASH = {  # the modules that provide each, as the packages flash-attn-4, flash-attn-3 or fa3-fwd, flash-attn name them
    "flash_attention_4": ("flash_attn.cute",),
    "flash_attention_3": ("flash_attn_interface", "fa3_fwd_interface"),
    "flash_attention_2": ("flash_attn",),
}


def choose(wanted: Attention, device: torch.device) -> tuple[str, Backend]:
    """The backend asked for, or for ``auto`` the fastest that imports, with its name.

    Where flash-attn is not installed, PyTorch's own build of FlashAttention 2 stands in for it.

    Raises EngineUnavailable where the one asked for does not import.
    """
    if wanted == "eager":
        return "eager", eager
    if wanted == "sdpa":
        return "sdpa", sdpa
    names = list(_FLASH) if wanted == "auto" else [wanted]
    reason = "it needs an NVIDIA GPU"
    if device.type == "cuda":
        major = torch.cuda.get_device_capability(device)[0]
        for name in names:
            if wanted == "auto" and name == "flash_attention_3" and major != 9:
                continue
            for module in _FLASH[name]:
                try:
                    return name, _flash(module)
                except (ImportError, AttributeError, OSError) as error:
                    reason = str(error)
        if names[-1] == "flash_attention_2" and agrees(_flash_of_pytorch, device):
            return "flash_attention_2 of PyTorch", _flash_of_pytorch
    if wanted == "auto":
        return "sdpa", sdpa
    raise EngineUnavailable(
        f"attention = {wanted!r} cannot be used: {reason}. Install a package that provides "
        f"{' or '.join(_FLASH[wanted])}, or set attention to auto or sdpa."
    )
