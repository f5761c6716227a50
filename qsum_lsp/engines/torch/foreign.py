"""The executor of every other family (Gemma and the like): transformers' own model, one sequence at a time."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from qsum_lsp.engines.torch.executor import Pending, PrefillPart
from qsum_lsp.engines.torch.sequence import RunningSequence


class TransformersRunner:
    """Correct for whatever transformers can load from safetensors, and not optimised."""

    shares_prefixes = False
    overlaps = False
    draft_tokens = 0

    def __init__(self, folder: Path, device: torch.device, *, attention: str, pages: int) -> None:
        from transformers import AutoModelForCausalLM

        self.pages = pages
        self.device = device
        self.model = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype="auto",
            use_safetensors=True,
            trust_remote_code=False,
            low_cpu_mem_usage=True,
            **({} if attention == "auto" else {"attn_implementation": attention}),
        )
        self.model = self.model.to(device).eval()
        # renamed within transformers 5; a name that a model does not know is ignored without a word
        names = inspect.signature(self.model.forward).parameters
        self._cache_name = "cache" if "cache" in names else "past_key_values"
        self._caches: dict[int, Any] = {}
        self._last: dict[int, int] = {}
        self._stepped: dict[int, int] = {}

    @torch.inference_mode()
    def prefill(self, parts: Sequence[PrefillPart]) -> Pending:
        """See Executor."""
        rows = []
        try:
            for part in parts:
                slot, prompt = part.sequence.slot, part.sequence.prompt
                if part.first:
                    self._caches.pop(slot, None)
                token = self._forward(slot, prompt[part.start : part.end], before=prompt[: part.start])
                if part.last:
                    rows.append([token])
        except torch.OutOfMemoryError:
            for part in parts:  # all come again, those that were read too
                self._caches.pop(part.sequence.slot, None)
            raise
        return Pending(torch.tensor(rows, dtype=torch.int32))

    @torch.inference_mode()
    def step(self, sequences: Sequence[RunningSequence], *, drafts: int) -> Pending:  # noqa: ARG002 - this executor drafts nothing
        """See Executor; ``drafts`` is always 0."""
        for sequence in sequences:
            slot = sequence.slot
            if slot not in self._stepped:  # else the step before failed at a later row
                before = [*sequence.prompt, *sequence.answer[len(sequence.answer) - sequence.landed :]][:-1]
                self._stepped[slot] = self._forward(slot, [self._last[slot]], before=before)
        rows = [[1, self._stepped.pop(s.slot)] for s in sequences]
        return Pending(torch.tensor(rows, dtype=torch.int32))

    def _forward(self, slot: int, tokens: Sequence[int], *, before: Sequence[int]) -> int:
        # a pass that fails leaves some layers with the tokens and some without: then all is computed again
        cache = self._caches.pop(slot, None)
        fed = [*before, *tokens] if cache is None else list(tokens)
        out = self.model(
            input_ids=torch.tensor([fed], device=self.device),
            use_cache=True,
            logits_to_keep=1,
            **{self._cache_name: cache},
        )
        self._caches[slot] = out[self._cache_name]
        self._last[slot] = int(out.logits[0, -1].argmax())
        return self._last[slot]

    def join(self) -> None:
        """Everything here is synchronous."""

    def release(self, sequence: RunningSequence) -> None:
        """Drop the sequence's cache."""
        self._caches.pop(sequence.slot, None)
        self._last.pop(sequence.slot, None)
        self._stepped.pop(sequence.slot, None)

    def free_memory(self) -> None:
        """Empty PyTorch's cache of freed blocks."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
