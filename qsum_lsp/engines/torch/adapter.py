"""A LoRA adapter in llama.cpp's GGUF form, added to a model's weights as they load."""

from pathlib import Path

import torch

from qsum_lsp.engines.torch.gguf_file import transformers_name
from qsum_lsp.errors import EngineUnavailable


class AdapterWeights:
    """The low-rank updates of an adapter (Hu et al. 2021, https://arxiv.org/abs/2106.09685) by transformers' names."""

    def __init__(self, path: Path) -> None:
        """Read the file. Raises EngineUnavailable where it is no LoRA adapter for a Qwen2 or Qwen3 model."""
        from gguf import GGUFReader

        try:
            reader = GGUFReader(path)
            kind, architecture, alpha = (
                reader.fields[key].contents()
                for key in ("adapter.type", "general.architecture", "adapter.lora.alpha")
            )
            factors = {tensor.name: torch.from_numpy(tensor.data.copy()).float() for tensor in reader.tensors}
        except (OSError, ValueError, KeyError) as error:
            raise EngineUnavailable(f"{path}: this is no adapter in GGUF form ({error}).") from error
        if kind != "lora" or architecture not in ("qwen2", "qwen3"):
            raise EngineUnavailable(
                f"{path}: the torch engine cannot apply a {kind} adapter for {architecture}."
            )
        self._updates: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}  # ([r, in], [out, r]), scaled
        for name, down in factors.items():
            base = name.removesuffix(".lora_a")
            if base != name:
                up = factors[f"{base}.lora_b"]
                self._updates[transformers_name(base) or base] = down, up * (alpha / down.shape[0])

    def merged(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        """``weight`` [out, in] plus its update, in the type of ``weight``; itself where the adapter has none for it."""
        update = self._updates.get(name)
        if update is None:
            return weight
        down, up = (factor.to(weight.device) for factor in update)
        return torch.addmm(weight.float(), up, down).to(weight.dtype)
