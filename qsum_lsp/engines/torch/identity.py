"""What a torch engine is, known without PyTorch: clients of the shared engine never import that."""

from dataclasses import replace

from qsum_lsp.engines.protocol import EngineIdentity
from qsum_lsp.engines.torch.options import TorchOptions
from qsum_lsp.engines.torch.source import ModelSource
from qsum_lsp.settings.values import Quantization

DEFAULT_CONTEXT = 32768


def identity_of(options: TorchOptions) -> EngineIdentity:
    """The identity of the engine with ``options`` before it is loaded. Raises EngineUnavailable.

    What ``auto`` quantization comes to depends on the memory that is free when the model is loaded, which only the
    process with the device can know. Here it is taken for ``none``, which it is wherever the model fits;
    ``loaded_identity`` has what was chosen.
    """
    source = ModelSource.find(options.model)
    quantization = "none" if options.quantization == "auto" else options.quantization
    return EngineIdentity(
        name="torch",
        model=source.name,
        fingerprint=f"{source.digest()}-{quantization}",
        context_tokens=options.context_tokens or source.context_tokens() or DEFAULT_CONTEXT,
    )


def loaded_identity(expected: EngineIdentity, quantization: Quantization) -> EngineIdentity:
    """The identity of the engine that was ``expected``, loaded with ``quantization``."""
    digest = expected.fingerprint.rpartition("-")[0]
    return replace(expected, fingerprint=f"{digest}-{quantization}")
