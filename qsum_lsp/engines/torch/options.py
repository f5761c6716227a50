"""What can be set on the torch engine, as one value."""

from dataclasses import dataclass

from qsum_lsp.settings.values import Attention, Compile, Quantization, Settings, Speculation


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchOptions:
    """Settings of one torch engine.

    ``model`` and ``draft_model`` are a catalogue alias, a folder of safetensors, a ``.gguf`` file or a hub id.
    ``compile`` chooses how a decode step runs: ``off`` is eager PyTorch; ``default`` compiles each layer with
    torch.compile; ``reduce-overhead`` also captures the step in a CUDA graph; ``max-autotune`` does both with
    autotuned kernels; ``auto`` captures the engine's own Triton kernels. ``memory_mib`` bounds weights, cache
    and workspace together. ``max_batch`` bounds the requests decoded at once, ``prefill_tokens`` the prompt
    tokens of one prefill, ``speculative_batch`` the requests up to which speculation pays.
    """

    model: str
    draft_model: str | None = None
    device: str = "auto"
    quantization: Quantization = "auto"
    attention: Attention = "auto"
    compile: Compile = "auto"
    speculation: Speculation = "auto"
    context_tokens: int | None = None
    memory_mib: int | None = None
    max_batch: int = 256
    prefill_tokens: int = 8192
    draft_tokens: int = 3
    speculative_batch: int = 2

    @classmethod
    def from_settings(cls, settings: Settings) -> "TorchOptions":
        """The user's settings that concern this engine."""
        return cls(
            model=settings.model,
            draft_model=settings.draft_model,
            device=settings.device,
            quantization=settings.quantization,
            attention=settings.attention,
            compile=settings.compile,
            speculation=settings.speculation,
            context_tokens=settings.context_tokens,
            memory_mib=settings.memory_mib,
        )
