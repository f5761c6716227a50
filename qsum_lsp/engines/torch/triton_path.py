"""Where the Triton kernels run, and their steps; Triton itself is imported when the first one is made."""

import importlib.util
from dataclasses import dataclass
from typing import Any

import torch

from qsum_lsp.engines.torch.model import KvCache, Model
from qsum_lsp.engines.torch.state import DecodeState
from qsum_lsp.engines.torch.step import DecodeStep, Forward


@dataclass(frozen=True, slots=True)
class TritonPath:
    """Makes forward passes and decode steps of the Triton kernels.

    ``dependent`` launches each kernel while the one before still runs (programmatic dependent launch, from
    Hopper on), so that it can read its weights ahead.
    """

    dependent: bool

    @classmethod
    def find(cls, model: Model) -> "TritonPath | None":
        """The path for ``model``: on NVIDIA GPUs that multiply bfloat16, for heads whose size is a power of two."""
        dim = model.shape.head_dim
        if model.device.type != "cuda" or torch.version.cuda is None or dim & (dim - 1) or dim < 32:
            return None
        major = torch.cuda.get_device_capability(model.device)[0]
        if major < 8 or importlib.util.find_spec("triton") is None:
            return None
        return cls(dependent=major >= 9)

    def forward(self, model: Model, cache: KvCache, state: DecodeState, batch: int, queries: int) -> Forward:
        """A forward pass of ``batch`` rows of ``queries`` tokens."""
        from qsum_lsp.engines.torch.fast import FastForward

        return FastForward(model, cache, state, batch, queries, dependent=self.dependent)

    def step(self, state: DecodeState, forward: Forward, **arguments: Any) -> DecodeStep:
        """A decode step around that forward pass; see ``DecodeStep``."""
        from qsum_lsp.engines.torch.fast import FastStep

        return FastStep(state, forward, dependent=self.dependent, **arguments)
