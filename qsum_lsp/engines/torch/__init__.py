"""The torch engine: Qwen, Llama and other models on NVIDIA GPUs, and unoptimised on Metal and the CPU."""

from qsum_lsp.engines.torch.engine import TorchEngine
from qsum_lsp.engines.torch.options import TorchOptions

__all__ = ["TorchEngine", "TorchOptions"]
