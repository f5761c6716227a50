"""The executor of Qwen2, Qwen3 and Llama models: prefills and steps of the own runner, launched asynchronously."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from qsum_lsp.engines.torch.attention import Backend, Packed
from qsum_lsp.engines.torch.executor import Pending, PrefillPart
from qsum_lsp.engines.torch.model import KvCache, Model, PrefillInput
from qsum_lsp.engines.torch.pages import PAGE_TOKENS
from qsum_lsp.engines.torch.sequence import RunningSequence
from qsum_lsp.engines.torch.state import DecodeState
from qsum_lsp.engines.torch.steps import BUCKETS, StepKey, StepLibrary
from qsum_lsp.engines.torch.warmup import WarmUp


class Runner:
    """Launches the work of one model on one device.

    On CUDA, prefills run on a stream of their own beside the decode steps where ``overlaps`` is set. Results
    come back through pinned memory and events, so that nothing waits for the device but ``Pending.wait``.
    """

    shares_prefixes = True

    def __init__(
        self,
        model: Model,
        cache: KvCache,
        state: DecodeState,
        steps: StepLibrary,
        *,
        attend: Backend,
        draft: tuple[Model, KvCache] | None,
        draft_tokens: int,
        overlaps: bool,
    ) -> None:
        self.model, self.cache, self.state, self.steps = model, cache, state, steps
        self.pages = cache.pages
        self.draft_tokens = draft_tokens
        self.device = model.device
        self.cuda = self.device.type == "cuda"
        self.overlaps = overlaps and self.cuda
        self._attend, self._draft = attend, draft
        self._rows: dict[StepKey, tuple[int, ...]] = {}
        self.warm_up = WarmUp(steps.rehearse, self.device)
        if self.cuda:
            self._decode_stream = torch.cuda.Stream(self.device, priority=-1)
            self._prefill_stream = torch.cuda.Stream(self.device) if overlaps else self._decode_stream

    @torch.inference_mode()
    def prefill(self, parts: Sequence[PrefillPart]) -> Pending:
        """Launch prompt tokens; see Executor."""
        with self._on(prefill=True):
            self._start_slots([part.sequence for part in parts if part.first])
            batch, rows, lengths = self._pack(parts)
            if self._draft is not None:
                self._draft[0].prefill(batch, self._draft[1], self._attend)
            first = self._prefill(batch)
            done = torch.tensor([part.last for part in parts])
            if not bool(done.any()):
                return self._pending(first[:0, None])
            keep = self._upload(np.flatnonzero(done.numpy()))
            first = self.state.start(rows[keep], first[keep], lengths[keep])
            return self._pending(first[:, None])

    def _prefill(self, batch: PrefillInput) -> torch.Tensor:
        return self.model.prefill(batch, self.cache, self._attend)

    @torch.inference_mode()
    def step(self, sequences: Sequence[RunningSequence], *, drafts: int) -> Pending:
        """Launch one decode step; see Executor."""
        queries = drafts + 1
        slots = [sequence.slot for sequence in sequences]
        # launched steps may have made a row longer than the host knows by now
        longest = max(len(s.prompt) + s.landed + (s.flights + 1) * queries for s in sequences)
        context = min(longest, self.state.context)
        key = self.steps.key(len(slots), queries, context, optimised=self.steps.optimises)
        if self.steps.optimises and not self._warm(key):
            key = self.steps.key(len(slots), queries, context, optimised=False)
        with self._on(prefill=False):
            if key.optimised:
                self.steps.capture(key)
            step = self.steps.get(key)
            padded = tuple(slots + [self.state.idle_slot] * (key.rows - len(slots)))
            if not key.optimised or self._rows.get(key) != padded:
                step.rows.copy_(self._upload(np.array(padded)))
                self._rows[key] = padded
            self.steps.run(key, step)
            return self._pending(step.output)

    def _warm(self, key: StepKey) -> bool:
        self.warm_up.ask(key)
        return self.warm_up.ready(key)

    @property
    def warming(self) -> bool:
        """True while asked-for steps are not all ready and captured."""
        return self.warm_up.pending > 0 or any(not self.steps.captured(k) for k in self.warm_up.ready_keys())

    def ask_for_usual_steps(self, speculative_batch: int) -> None:
        """Have the steps compiled that will be needed, the commonest first."""
        if not self.steps.optimises:
            return
        wanted = [(1, 1)]
        if self.draft_tokens:
            wanted += [(rows, self.draft_tokens + 1) for rows in BUCKETS if rows <= speculative_batch]
        wanted += [(rows, 1) for rows in BUCKETS if 1 < rows <= self.state.slots]
        if not self.steps.any_context:
            wanted = wanted[:1]
        for rows, queries in wanted:
            self.warm_up.ask(self.steps.key(rows, queries, 1024, optimised=True))

    def close(self) -> None:
        """Stop compiling and give back the memory of graphs."""
        self.warm_up.close()
        self.steps.drop_graphs()

    @torch.inference_mode()
    def capture_next(self) -> bool:
        """Capture one step that is ready and not captured yet; False where there is none."""
        for key in self.warm_up.ready_keys():
            if not self.steps.captured(key):
                with self._on(prefill=False):
                    self.steps.capture(key)
                return True
        return False

    def join(self) -> None:
        """Let steps see all prefills launched so far; see Executor."""
        if self.overlaps:
            self._decode_stream.wait_stream(self._prefill_stream)

    def release(self, sequence: RunningSequence) -> None:
        """Nothing is kept by sequence."""

    def free_memory(self) -> None:
        """Empty PyTorch's cache of freed blocks."""
        if self.cuda:
            torch.cuda.empty_cache()

    @contextlib.contextmanager
    def _on(self, *, prefill: bool) -> Iterator[None]:
        if not self.cuda:
            yield
            return
        with torch.cuda.stream(self._prefill_stream if prefill else self._decode_stream):
            yield

    def _upload(self, values: np.ndarray[Any, Any]) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(values))
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.cuda else tensor

    def _pending(self, rows: torch.Tensor) -> Pending:
        if not self.cuda:
            return Pending(rows.clone().cpu())
        host = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
        host.copy_(rows, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        return Pending(host, event)

    def _start_slots(self, sequences: Sequence[RunningSequence]) -> None:
        if not sequences:
            return
        state, width = self.state, self.state.table.shape[1]
        tables = np.zeros((len(sequences), width), dtype=np.int32)
        for row, sequence in enumerate(sequences):
            tables[row, : len(sequence.pages)] = sequence.pages
        lengths = [len(sequence.prompt) for sequence in sequences]
        slots = np.array([sequence.slot for sequence in sequences])
        where = np.stack(
            (np.repeat(slots, lengths), np.concatenate([np.arange(n) for n in lengths])),
        )
        heads = self._upload(np.stack((slots, np.array([sequence.limit for sequence in sequences]))))
        state.table.index_copy_(0, heads[0], self._upload(tables))
        state.limit.index_copy_(0, heads[0], heads[1].int())
        places = self._upload(where)
        tokens = self._upload(np.concatenate([np.array(s.prompt, dtype=np.int32) for s in sequences]))
        state.history.index_put_((places[0], places[1]), tokens)

    def _pack(self, parts: Sequence[PrefillPart]) -> tuple[PrefillInput, torch.Tensor, torch.Tensor]:
        tokens, positions, write, context = [], [], [], []
        reused = any(part.start > 0 for part in parts)
        for part in parts:
            pages = np.array(part.sequence.pages)
            places = np.arange(part.end)
            slots = pages[places // PAGE_TOKENS] * PAGE_TOKENS + places % PAGE_TOKENS
            tokens.append(np.array(part.sequence.prompt[part.start : part.end]))
            positions.append(places[part.start :])
            write.append(slots[part.start :])
            if reused:
                context.append(slots)
        q_lengths = [part.end - part.start for part in parts]
        k_lengths = [part.end for part in parts]
        starts = np.zeros((2, len(parts) + 1), dtype=np.int32)
        np.cumsum((q_lengths, k_lengths), axis=1, out=starts[:, 1:])
        per_token = self._upload(np.stack([np.concatenate(part) for part in (tokens, positions, write)]))
        per_part = self._upload(
            np.stack(
                (
                    starts[0, 1:].astype(np.int64) - 1,
                    np.array([part.sequence.slot for part in parts]),
                    np.array(k_lengths),
                )
            )
        )
        limits = self._upload(starts)
        batch = PrefillInput(
            tokens=per_token[0],
            positions=per_token[1],
            write=per_token[2],
            context=self._upload(np.concatenate(context)) if reused else None,
            packed=Packed(limits[0], limits[1], q_lengths, k_lengths),
            last=per_part[0],
        )
        return batch, per_part[1], per_part[2]
