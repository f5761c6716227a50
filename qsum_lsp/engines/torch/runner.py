"""The executor of Qwen2, Qwen3 and Llama models: prefills and steps of the own runner, launched asynchronously."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from qsum_lsp.engines.torch.attention import Backend, Packed, sdpa
from qsum_lsp.engines.torch.executor import Pending, PrefillPart
from qsum_lsp.engines.torch.model import KvCache, Model, PrefillInput
from qsum_lsp.engines.torch.pages import PAGE_TOKENS
from qsum_lsp.engines.torch.prefills import CONTEXT, LONGEST, PARTS, TOKENS, PrefillKey, PrefillLibrary
from qsum_lsp.engines.torch.sequence import RunningSequence
from qsum_lsp.engines.torch.state import DecodeState
from qsum_lsp.engines.torch.steps import BUCKETS, StepKey, StepLibrary
from qsum_lsp.engines.torch.warmup import WarmUp

OVERLAP = True
"""Whether prefills run on a stream of their own beside the decode steps, where the device has streams."""

T = TypeVar("T")


class Runner:
    """Launches the work of one model on one device.

    Results come back through pinned memory and events, so that nothing waits for the device but ``Pending.wait``.
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
        flexible: bool,
        draft: tuple[Model, KvCache] | None,
        draft_tokens: int,
    ) -> None:
        self.model, self.cache, self.state, self.steps = model, cache, state, steps
        self.pages = cache.pages
        self.draft_tokens = draft_tokens
        self.device = model.device
        self.cuda = self.device.type == "cuda"
        self.overlaps = OVERLAP and self.cuda
        self._attend, self._draft = attend, draft
        # flash-attn's first call imports PyTorch's compiler, for seconds: the first prompts do without
        self._first_attend = sdpa if flexible and steps.any_context else attend
        self._prefills_done = False
        self.prefills = PrefillLibrary(state, captures=self.cuda and flexible)
        self._rows: dict[StepKey, tuple[int, ...]] = {}
        self.warm_up = WarmUp(
            steps.rehearse, self.device, prefill=self._rehearse_prefill if steps.any_context else None
        )
        if self.cuda:
            self._decode_stream = torch.cuda.Stream(self.device, priority=-1)
            self._prefill_stream = torch.cuda.Stream(self.device) if self.overlaps else self._decode_stream

    @torch.inference_mode()
    def prefill(self, parts: Sequence[PrefillPart]) -> Pending:
        """Launch prompt tokens; see Executor."""
        return self._making_room(lambda: self._prefill(parts))

    def _prefill(self, parts: Sequence[PrefillPart]) -> Pending:
        with self._on(prefill=True):
            self._start_slots([part.sequence for part in parts if part.first])
            fast = self.warm_up.prefill_ready
            output = self.prefills.run(parts, self._upload, self._compute(fast=fast), fixed=fast)
            return self._pending(output, [index for index, part in enumerate(parts) if part.last])

    def _compute(self, *, fast: bool) -> Callable[[PrefillInput], torch.Tensor]:
        prefill: Callable[[Model, PrefillInput, KvCache, Backend], torch.Tensor] = Model.prefill
        attend = self._first_attend
        if fast:
            from qsum_lsp.engines.torch.fast_prefill import prefill as fast_prefill  # needs Triton

            prefill, attend = fast_prefill, self._attend

        def compute(batch: PrefillInput) -> torch.Tensor:
            if self._draft is not None:
                prefill(self._draft[0], batch, self._draft[1], attend)
            return prefill(self.model, batch, self.cache, attend)

        return compute

    @torch.inference_mode()
    def step(self, sequences: Sequence[RunningSequence], *, drafts: int) -> Pending:
        """Launch one decode step; see Executor."""
        self._drop_plain_records_without_use()
        return self._making_room(lambda: self._step(sequences, queries=drafts + 1))

    def _step(self, sequences: Sequence[RunningSequence], *, queries: int) -> Pending:
        slots = [sequence.slot for sequence in sequences]
        # launched steps may have made a row longer than the host knows by now, and have drafted where this one does not
        most = self.draft_tokens + 1
        longest = max(len(s.prompt) + s.landed + s.flights * most + queries for s in sequences)
        context = min(longest, self.state.context)
        key = self._key(len(slots), queries, context)
        with self._on(prefill=False):
            if key.optimised and not self._can_run(key):
                key = self._key(len(slots), queries, context)
            step = self.steps.get(key)
            padded = tuple(slots + [self.state.idle_slot] * (key.rows - len(slots)))
            if not key.optimised or self._rows.get(key) != padded:
                step.rows.copy_(self._upload(np.array(padded)))
                self._rows[key] = padded
            self.steps.run(key, step)
            return self._pending(step.output)

    def _key(self, rows: int, queries: int, context: int) -> StepKey:
        if not self.steps.optimises(rows * queries):
            return self.steps.key(rows, queries, context, optimised=False)
        best = self.steps.key(rows, queries, context, optimised=True)
        self.warm_up.ask(best)
        if self.warm_up.ready(best):
            return best
        return self.steps.key(rows, queries, context, optimised=False, recorded=self._records_plain_steps)

    def _can_run(self, key: StepKey) -> bool:
        # recorded here where that was not done ahead
        try:
            self.steps.capture(key)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.warm_up.give_up(key, error)
        return self.warm_up.ready(key)

    @property
    def _records_plain_steps(self) -> bool:
        # torch.compile's measurements wait for the whole device, which fails while anything is recorded
        undisturbed = self.steps.any_context or not self.warm_up.begun
        return undisturbed and self.warm_up.pending > 0

    def _making_room(self, launch: Callable[[], T]) -> T:
        # a batch or a prefill is made smaller for good after an error: rather do without what was only for the start
        try:
            return launch()
        except torch.OutOfMemoryError:
            if not self._stop_plain_records():
                raise
        return launch()  # out here, as the error holds what was allocated

    def _stop_plain_records(self) -> bool:
        records = self.steps.plain_records
        held = bool(records)
        if records is not None:
            self._finish_steps()
            records.stop()
        if held:
            self._empty_cache()
        return held

    def _drop_plain_records_without_use(self) -> bool:
        records = self.steps.plain_records
        if not records or self._records_plain_steps:
            return False
        self._finish_steps()
        records.drop()
        self._empty_cache()  # else what graphs kept serves nothing else
        return True

    def _finish_steps(self) -> None:
        if self.cuda:
            self._decode_stream.synchronize()

    def _empty_cache(self) -> None:
        if self.cuda:
            torch.cuda.empty_cache()

    def _rehearse_prefill(self) -> None:
        from qsum_lsp.engines.torch.fast_prefill import FUSED_TOKENS

        length = FUSED_TOKENS  # where all kernels are used; they write to the scratch page
        places = torch.arange(length, device=self.device) % PAGE_TOKENS
        limits = torch.tensor([0, length], dtype=torch.int32, device=self.device)
        packed = Packed(limits, limits, [length], [length])
        batch = PrefillInput(torch.zeros_like(places), places, places, None, packed, places[-1:])
        self._compute(fast=True)(batch)

    @property
    def warming(self) -> bool:
        """True while asked-for steps are not all ready and captured."""
        waiting = self.warm_up.prefill_ready and not self._prefills_done
        ready = self.warm_up.ready_keys()
        uncaptured = any(not self.steps.captured(key) for key in ready)
        return waiting or self.warm_up.pending > 0 or uncaptured or bool(self.steps.plain_records)

    def ask_for_usual_steps(self, max_batch: int, speculative_batch: int) -> None:
        """Have the steps compiled that will be needed, the commonest first."""
        wanted = [(1, 1)]
        if self.draft_tokens:
            wanted += [(rows, self.draft_tokens + 1) for rows in BUCKETS if rows <= speculative_batch]
        wanted += [(rows, 1) for rows in BUCKETS if 1 < rows <= max_batch]
        if not self.steps.any_context:
            wanted = wanted[:1]
        for rows, queries in wanted:
            if not self.steps.optimises(rows * queries):
                continue
            self.warm_up.ask(self.steps.key(rows, queries, 1024, optimised=True))

    def _usual_prefills(self) -> list[PrefillKey]:
        sizes = [size for size in TOKENS if size <= LONGEST[0]]
        return [
            PrefillKey(size, PARTS[0], context, LONGEST[0])
            for size in sizes
            for context in (0, size, _next(CONTEXT, size))
        ]

    def close(self) -> None:
        """Stop compiling and give back the memory of graphs."""
        self.warm_up.close()
        self._finish_steps()
        self.steps.drop_graphs()
        self.prefills.drop_graphs()

    @torch.inference_mode()
    def capture_next(self) -> bool:
        """Capture one step that is ready and not captured yet, or give back what that has replaced.

        False where nothing is left to do by now.
        """
        key: StepKey | PrefillKey | None = None
        if self._drop_plain_records_without_use():
            return True
        try:
            if self.warm_up.prefill_ready and not self._prefills_done:
                with self._on(prefill=True):
                    for key in self._usual_prefills():
                        if self.prefills.prepare(key, self._compute(fast=True)):
                            return True
                self._prefills_done = True
            for key in self.warm_up.ready_keys():
                if not self.steps.captured(key):
                    with self._on(prefill=False):
                        recorded = self.steps.capture(key)
                    if recorded:
                        return True
        except RuntimeError as error:  # out of memory is one, like all that the device reports
            if isinstance(error, torch.OutOfMemoryError) and self._stop_plain_records():
                return True  # and try again
            self._prefills_done = True
            if isinstance(key, StepKey):
                self.warm_up.give_up(key, error)
            return True
        return False

    def join(self) -> None:
        """Let steps see all prefills launched so far; see Executor."""
        if self.overlaps:
            self._decode_stream.wait_stream(self._prefill_stream)

    def release(self, sequence: RunningSequence) -> None:
        """Nothing is kept by sequence."""

    def free_memory(self) -> None:
        """Drop the records of prefills and plain steps, and empty PyTorch's cache of freed blocks."""
        self._stop_plain_records()
        self.prefills.drop_graphs()
        self._empty_cache()

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

    def _pending(self, rows: torch.Tensor, chosen: Sequence[int] | None = None) -> Pending:
        if not self.cuda:
            return Pending(rows.clone().cpu(), chosen=chosen)
        host = torch.empty(rows.shape, dtype=rows.dtype, pin_memory=True)
        host.copy_(rows, non_blocking=True)
        event = torch.cuda.Event()
        event.record()
        return Pending(host, event, chosen=chosen)

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


def _next(sizes: Sequence[int], size: int) -> int:
    return sizes[sizes.index(size) + 1]
