"""The torch engine: Qwen, Llama and other models on NVIDIA GPUs, and unoptimised on Metal and the CPU.

Importing it does not import PyTorch; naming ``TorchEngine`` does.
"""

from typing import TYPE_CHECKING, Any

from qsum_lsp.engines.torch.options import TorchOptions

if TYPE_CHECKING:
    from qsum_lsp.engines.torch.engine import TorchEngine

__all__ = ["TorchEngine", "TorchOptions"]


def __getattr__(name: str) -> Any:
    if name != "TorchEngine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from qsum_lsp.engines.torch.engine import TorchEngine

    return TorchEngine
