"""Prefills, launched as captured CUDA graphs of a few sizes where attention reads its limits on the device.

A prefill is over three hundred launches; their cost on the host exceeds the device's work on a short prompt.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from qsum_lsp.engines.torch.attention import Packed
from qsum_lsp.engines.torch.executor import PrefillPart
from qsum_lsp.engines.torch.graphs import Pool, record
from qsum_lsp.engines.torch.model import PrefillInput
from qsum_lsp.engines.torch.pages import PAGE_TOKENS
from qsum_lsp.engines.torch.state import DecodeState

_log = logging.getLogger(__name__)

TOKENS = (256, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192)
CONTEXT = (*TOKENS, 12288, 16384)
PARTS = (8, 32, 96)
LONGEST = (1024, 2048, 4096, 8192)


@dataclass(frozen=True, slots=True)
class PrefillKey:
    """Tokens, sequences, tokens of context (0: every sequence starts at its beginning), longest sequence."""

    tokens: int
    parts: int
    context: int
    longest: int


class PrefillBuffers:
    """What the device needs to know of one prefill, in one tensor, so that one copy brings it there."""

    def __init__(self, key: PrefillKey, state: DecodeState) -> None:
        sizes = (
            key.tokens,
            key.tokens,
            key.tokens,
            key.context,
            key.parts + 1,
            key.parts + 1,
            *[key.parts] * 3,
        )
        self.data = torch.zeros(sum(sizes), dtype=torch.int64, device=state.device)
        parts = self.data.split(sizes)
        self.tokens, self.positions, self.write, self.context, self.q_starts, self.k_starts = parts[:6]
        self.last, self.rows, self.lengths = parts[6:]
        self.output = torch.zeros((key.parts, 1), dtype=torch.int32, device=state.device)


def pack(parts: Sequence[PrefillPart], key: PrefillKey, spare_row: int) -> np.ndarray:
    """The content of the buffers: the parts' tokens, then padding that writes to the scratch page.

    Padding is made of sequences without keys, whose attention is zero; parts that are not their prompt's last
    report to ``spare_row``.
    """
    tokens = np.zeros((3, key.tokens), dtype=np.int64)
    context = np.zeros(key.context, dtype=np.int64)
    starts = np.zeros((2, key.parts + 1), dtype=np.int64)
    ends = np.zeros((3, key.parts), dtype=np.int64)
    ends[1] = spare_row
    at = seen = 0
    for index, part in enumerate(parts):
        count = part.end - part.start
        places = np.arange(part.end)
        slots = np.array(part.sequence.pages)[places // PAGE_TOKENS] * PAGE_TOKENS + places % PAGE_TOKENS
        tokens[0, at : at + count] = part.sequence.prompt[part.start : part.end]
        tokens[1, at : at + count] = places[part.start :]
        tokens[2, at : at + count] = slots[part.start :]
        if key.context:
            context[seen : seen + part.end] = slots
        at += count
        seen += part.end
        starts[:, index + 1] = at, seen
        row = part.sequence.slot if part.last else spare_row
        ends[:, index] = at - 1, row, part.end
    for index in range(len(parts), key.parts):
        at = min(key.tokens, at + key.longest)
        starts[:, index + 1] = at, seen
    return np.concatenate((tokens.ravel(), context, starts.ravel(), ends.ravel()))


Compute = Callable[[PrefillInput], torch.Tensor]


class PrefillLibrary:
    """Runs prefills: the first of a size as it is, the second while it is recorded, further ones from the record.

    ``captures`` is off where attention needs the lengths on the host.
    """

    def __init__(self, state: DecodeState, *, captures: bool) -> None:
        self._state, self._captures = state, captures
        self._seen: dict[PrefillKey, PrefillBuffers] = {}
        self._graphs: dict[PrefillKey, torch.cuda.CUDAGraph] = {}
        self._pool: Pool | None = None
        self._stream = torch.cuda.Stream(state.device) if state.device.type == "cuda" else None

    def key(self, parts: Sequence[PrefillPart], *, fixed: bool) -> PrefillKey:
        """The size for ``parts``: one that can be captured where ``fixed``, else the exact one."""
        count = sum(part.end - part.start for part in parts)
        context = sum(part.end for part in parts) if any(part.start for part in parts) else 0
        longest = max(part.end for part in parts)
        exact = PrefillKey(count, len(parts), context, longest)
        if not (fixed and self._captures):
            return exact
        tokens, room = _at_least(TOKENS, count), _at_least(CONTEXT, context) if context else 0
        length = _at_least(LONGEST, longest)
        if tokens is None or room is None or length is None:
            return exact
        size = _at_least(PARTS, len(parts) + -(-(tokens - count) // length))
        return exact if size is None else PrefillKey(tokens, size, room, length)

    def run(
        self,
        parts: Sequence[PrefillPart],
        upload: Callable[..., torch.Tensor],
        compute: Compute,
        *,
        fixed: bool,
    ) -> torch.Tensor:
        """Launch ``parts``; the first token [parts, 1] after each prompt that ends here."""
        key = self.key(parts, fixed=fixed)
        again = key in self._seen
        buffers = self._seen[key] if again else PrefillBuffers(key, self._state)
        buffers.data.copy_(upload(pack(parts, key, self._state.spare_slot)))
        known = self._captures and fixed and key.tokens in TOKENS
        if known:
            self._seen[key] = buffers
        if known and again and key not in self._graphs:
            self._try_to_record(key, buffers, compute)
        if key in self._graphs:
            self._graphs[key].replay()
        else:
            lengths = [part.end - part.start for part in parts], [part.end for part in parts]
            self._launch(key, buffers, compute, lengths)
        return buffers.output

    def prepare(self, key: PrefillKey, compute: Compute) -> bool:
        """Record ``key`` ahead of its use; False where there is nothing to do. Raises OutOfMemoryError."""
        if not self._captures or key in self._graphs:
            return False
        buffers = PrefillBuffers(key, self._state)
        buffers.rows.fill_(self._state.spare_slot)
        buffers.lengths.fill_(1)
        buffers.q_starts[1:] = key.tokens
        self._launch(key, buffers, compute, ([key.longest], [key.longest]))
        self._try_to_record(key, buffers, compute)
        self._seen[key] = buffers
        return True

    def drop_graphs(self) -> None:
        """Give all graphs and their memory back."""
        self._graphs.clear()
        self._seen.clear()
        self._pool = None

    def _try_to_record(self, key: PrefillKey, buffers: PrefillBuffers, compute: Compute) -> None:
        def launch() -> None:
            self._launch(key, buffers, compute, ([key.longest], [key.longest]))

        try:
            graph = record(launch, self._pool, self._stream)
        except torch.OutOfMemoryError:
            raise
        except (
            RuntimeError
        ) as error:  # an attention that cannot be recorded, say: prefills are launched as they are
            _log.warning("Prefills are not recorded: %s", error, exc_info=error)
            self._captures = False
            self.drop_graphs()
            return
        if self._pool is None:
            self._pool = graph.pool()
        self._graphs[key] = graph

    def _launch(
        self,
        key: PrefillKey,
        buffers: PrefillBuffers,
        compute: Compute,
        lengths: tuple[Sequence[int], Sequence[int]],
    ) -> None:
        batch = PrefillInput(
            tokens=buffers.tokens,
            positions=buffers.positions,
            write=buffers.write,
            context=buffers.context if key.context else None,
            packed=Packed(buffers.q_starts.int(), buffers.k_starts.int(), *lengths),
            last=buffers.last,
        )
        first = self._state.start(buffers.rows, compute(batch), buffers.lengths)
        buffers.output.copy_(first[:, None])


def _at_least(sizes: Sequence[int], wanted: int) -> int | None:
    return next((size for size in sizes if size >= wanted), None)
