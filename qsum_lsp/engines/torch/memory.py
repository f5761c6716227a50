"""How much goes where: weights, cache, workspace."""

from dataclasses import dataclass

import psutil
import torch

from qsum_lsp.engines.torch.model import page_bytes
from qsum_lsp.engines.torch.options import TorchOptions
from qsum_lsp.engines.torch.pages import PAGE_TOKENS
from qsum_lsp.engines.torch.shape import ModelShape
from qsum_lsp.engines.torch.weights import compute_dtype, weight_bytes
from qsum_lsp.errors import OutOfDeviceMemory
from qsum_lsp.settings.values import Quantization

MIB = 1 << 20
SHARE_OF_FREE = 0.85
TYPICAL_REQUEST = 1536
"""Tokens of a request; more cache than a full batch of them is not taken without being asked for."""


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """``limit`` bytes in all; ``pages`` of cache, shared by the draft model; prompt tokens of one prefill."""

    limit: int
    quantization: Quantization
    pages: int
    prefill_tokens: int


def free_bytes(device: torch.device) -> int:
    """Memory that could be taken now."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def plan_memory(
    options: TorchOptions, shape: ModelShape, draft: ModelShape | None, device: torch.device, context: int
) -> MemoryPlan:
    """Divide the memory. ``auto`` keeps the saved precision where it leaves room for a full context, else nf4.

    Raises EngineUnavailable where the weights do not fit.
    """
    free = free_bytes(device)
    limit = min(options.memory_mib * MIB if options.memory_mib else free, int(free * SHARE_OF_FREE))
    dtype = compute_dtype(shape, device)
    per_page = page_bytes(shape, dtype)
    # on CUDA: cuBLAS workspaces of three streams, kernels' code, what graphs keep
    fixed = (224 if device.type == "cuda" else 64) * MIB
    if draft is not None:
        per_page += page_bytes(draft, dtype)
        fixed += weight_bytes(draft, "none", dtype)
    per_token = (4 * shape.intermediate + 8 * shape.hidden + 4 * shape.q_size) * dtype.itemsize

    def plan(quantization: Quantization) -> MemoryPlan | None:
        rest = limit - fixed - weight_bytes(shape, quantization, dtype)
        if quantization != "none":
            # the largest matrix dequantised, once for each of prefills, steps and what is not recorded
            rest -= 3 * 2 * shape.intermediate * shape.hidden * dtype.itemsize
        prefill = min(options.prefill_tokens, max(256, rest // 4 // per_token))
        pages = (rest - prefill * per_token) // per_page
        most = (
            max(context, options.max_batch * min(context, TYPICAL_REQUEST)) // PAGE_TOKENS + options.max_batch
        )
        if pages * PAGE_TOKENS < 1024 and pages < most:
            return None
        return MemoryPlan(limit, quantization, min(pages, most) + 1, prefill)

    wanted: tuple[Quantization, ...] = (options.quantization,)
    if options.quantization == "auto":
        wanted = ("none", "nf4") if device.type == "cuda" else ("none",)
    for quantization in wanted:
        found = plan(quantization)
        if found is not None:
            return found
    raise OutOfDeviceMemory(
        f"The model needs {weight_bytes(shape, wanted[-1], dtype) // MIB} MiB for its weights alone and "
        f"{limit // MIB} MiB may be used on {device}. Raise memory_mib, free memory, or choose a smaller model."
    )
