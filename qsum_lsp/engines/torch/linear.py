"""Weight matrices, dense or quantised by bitsandbytes, behind one call."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - its usual name

BLOCK = 64
"""Weights that share one scale in 4-bit formats."""


class Dense(nn.Module):
    """y = x Wᵀ + b with ``weight`` [out, in]."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.weight: torch.Tensor
        self.bias: torch.Tensor | None
        self.out_features, self.in_features = weight.shape

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight, self.bias)


class Quantized4(nn.Module):
    """4-bit weights in bitsandbytes' layout: two codes a byte, high nibble first, one float32 scale a block.

    ``kind`` is nf4 (Dettmers et al., 2023, QLoRA) or fp4.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, kind: Literal["nf4", "fp4"]) -> None:
        super().__init__()
        from bitsandbytes import functional as bnb

        packed, state = bnb.quantize_4bit(weight.contiguous(), blocksize=BLOCK, quant_type=kind)
        self.kind, self.dtype = kind, weight.dtype
        self.out_features, self.in_features = weight.shape
        self.register_buffer("packed", packed)
        self.register_buffer("scales", state.absmax.float())
        self.register_buffer("codes", state.code.float().to(weight.device))
        self.register_buffer("bias", bias)
        self.packed: torch.Tensor
        self.scales: torch.Tensor
        self.codes: torch.Tensor
        self.bias: torch.Tensor | None

    def dequantize(self) -> torch.Tensor:
        """The weights [out, in] in the compute dtype."""
        weight: torch.Tensor = torch.ops.bitsandbytes.dequantize_4bit(
            self.packed, self.scales, BLOCK, self.kind, (self.out_features, self.in_features), self.dtype
        )
        return weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.is_cuda and x.shape[0] == 1:
            y: torch.Tensor = torch.ops.bitsandbytes.gemv_4bit(
                x, self.packed, (self.out_features, self.in_features), self.scales, self.codes, BLOCK
            )
            return y if self.bias is None else y + self.bias
        return F.linear(x, self.dequantize(), self.bias)


class Quantized8(nn.Module):
    """8-bit weights with one scale a row, as bitsandbytes' LLM.int8() stores them; activations stay as they are."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        scales = weight.float().abs().amax(dim=1).clamp(min=1e-8) / 127
        self.dtype = weight.dtype
        self.out_features, self.in_features = weight.shape
        self.register_buffer("codes", (weight.float() / scales[:, None]).round().to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", bias)
        self.codes: torch.Tensor
        self.scales: torch.Tensor
        self.bias: torch.Tensor | None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.linear(x, self.codes.to(self.dtype)) * self.scales.to(self.dtype)
        return y if self.bias is None else y + self.bias


Linear = Dense | Quantized4 | Quantized8


def make_linear(
    weights: Sequence[torch.Tensor], biases: Sequence[torch.Tensor | None], quantization: str
) -> Linear:
    """One matrix of ``weights`` stacked by output row, quantised as asked."""
    weight = torch.cat(list(weights)) if len(weights) > 1 else weights[0]
    present = [bias for bias in biases if bias is not None]
    bias = torch.cat(present) if present else None
    if quantization in ("nf4", "fp4"):
        return Quantized4(weight, bias, "nf4" if quantization == "nf4" else "fp4")
    if quantization == "int8":
        return Quantized8(weight, bias)
    return Dense(weight, bias)
