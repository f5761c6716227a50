"""Continuous batching: who is prefilled, who decodes, who waits (Yu et al., 2022, Orca)."""

import heapq
import itertools
from collections import deque
from collections.abc import Sequence

import torch

from qsum_lsp.engines.protocol import EngineFailed, Priority, RequestTooLong
from qsum_lsp.engines.torch.executor import HOVER_SLOTS, Executor, Pending, PrefillPart
from qsum_lsp.engines.torch.pages import PAGE_TOKENS, PagePool
from qsum_lsp.engines.torch.sequence import RunningSequence

FLIGHTS = 2
"""Launches of one kind under way at once: the device always has the next one, and a cancel waits for one."""

SMALLEST_PREFILL = 256
"""Prompt tokens that one prefill is shrunk to at most, after out-of-memory errors."""

HELD_BACK = 32
"""Steps of a hover for which other prompts are held back: a prefill beside a step makes it many times slower."""

Flight = tuple[Pending, list[RunningSequence]]


class Scheduler:
    """Decides step by step; ``launch`` and ``land`` are called in turn by the engine's only thread.

    A sequence holds pages for its prompt and its longest answer from its admission on, so that decoding never
    runs out of them; what does not fit waits, by priority and then by age. Sequences of any number hold up to
    ``max_batch`` slots, hovers ``HOVER_SLOTS`` more; a step has up to ``max_batch`` rows, hovers among them.
    """

    def __init__(
        self,
        executor: Executor,
        *,
        stops: Sequence[int],
        max_batch: int,
        prefill_tokens: int,
        speculative_batch: int,
    ) -> None:
        self._executor = executor
        self._pool = PagePool(executor.pages)
        self._stops = frozenset(stops)
        self._prefill_tokens = prefill_tokens
        self._speculative_batch = speculative_batch
        self._max_batch = max_batch
        self._slots = list(range(max_batch + HOVER_SLOTS - 1, -1, -1))
        self._order = itertools.count()
        self._waiting: list[tuple[int, int, RunningSequence]] = []
        # in the order of their admission; None, because all that counts is who is there
        self._prefilling: dict[RunningSequence, None] = {}
        self._decoding: dict[RunningSequence, None] = {}
        self._prefills: deque[Flight] = deque()
        self._steps: deque[Flight] = deque()
        self._held_back = 0

    @property
    def running(self) -> int:
        """Sequences that hold a slot."""
        return len(self._prefilling) + len(self._decoding)

    @property
    def waiting(self) -> int:
        """Sequences that hold nothing yet."""
        return len(self._waiting)

    @property
    def free_pages(self) -> int:
        """Pages that no sequence holds."""
        return self._pool.available

    @property
    def idle(self) -> bool:
        """True where nothing is left to do."""
        return not (self._waiting or self._prefilling or self._decoding or self._prefills or self._steps)

    def submit(self, sequence: RunningSequence) -> None:
        """Queue a sequence; one that can never fit fails at once with RequestTooLong."""
        if self._pages_for(sequence) > self._pool.capacity:
            sequence.over = True
            sequence.on_failure(
                RequestTooLong(
                    f"Prompt and answer take {sequence.limit} tokens; the cache holds "
                    f"{self._pool.capacity * PAGE_TOKENS}. Raise memory_mib or send less text."
                )
            )
            return
        heapq.heappush(self._waiting, (sequence.priority, next(self._order), sequence))

    def cancel(self, sequence: RunningSequence) -> None:
        """Give a sequence up; its memory is free once launched work no longer touches it."""
        if sequence.over:
            return
        self._end(sequence)
        self._waiting = [entry for entry in self._waiting if entry[2] is not sequence]
        heapq.heapify(self._waiting)

    def abandon(self, error: EngineFailed) -> None:
        """Fail everything, because the device failed."""
        held = [entry[2] for entry in self._waiting] + [*self._prefilling, *self._decoding]
        held += [s for _, sequences in (*self._prefills, *self._steps) for s in sequences if not s.over]
        self._waiting.clear()
        self._prefills.clear()
        self._steps.clear()
        for sequence in dict.fromkeys(held):
            sequence.flights = 0
            self._end(sequence)
            sequence.on_failure(error)

    def launch(self) -> bool:
        """Launch what can be launched; True where more can be, before anything has landed."""
        while self._prefills and self._prefills[0][0].ready():
            self._land_prefill()
        self._admit()
        launched = self._launch_prefill()
        launched |= self._launch_step()
        return launched and len(self._steps) < FLIGHTS

    def land(self) -> None:
        """Wait for what was launched first, and take it in."""
        # a first token is news at once; and tokens must land in the order in which they were made
        if self._prefills and (not self._steps or any(s.landed == 0 for s in self._steps[0][1])):
            self._land_prefill()
        elif self._steps:
            self._land_step()

    def _pages_for(self, sequence: RunningSequence) -> int:
        return -(-(sequence.limit + self._executor.draft_tokens) // PAGE_TOKENS)

    def _admit(self) -> None:
        backlog = sum(len(s.prompt) - s.computed for s in self._prefilling)
        while self._waiting:
            priority, _, sequence = self._waiting[0]
            hover = priority == Priority.HOVER
            free = len(self._slots) - (0 if hover else HOVER_SLOTS)
            if free <= 0 or (backlog >= self._prefill_tokens and not hover):
                return
            # a batch is topped up when a good part of it is free, and then by many prompts at once
            few = free < min(len(self._waiting), self._max_batch // 4)
            if few and priority == Priority.BATCH and self._decoding and not self._prefilling:
                return
            matched = self._pool.match(sequence.prompt) if self._executor.shares_prefixes else []
            fresh = self._pool.allocate(self._pages_for(sequence) - len(matched))
            if fresh is None:
                self._pool.release(matched)
                return
            heapq.heappop(self._waiting)
            sequence.pages = matched + fresh
            sequence.computed = len(matched) * PAGE_TOKENS
            sequence.slot = self._slots.pop()
            self._prefilling[sequence] = None
            backlog += len(sequence.prompt) - sequence.computed

    def _launch_prefill(self) -> bool:
        if not self._prefilling or len(self._prefills) >= FLIGHTS:
            return False
        # alone, a hover's prompt is read in a few milliseconds
        chosen = [s for s in self._prefilling if s.priority == Priority.HOVER]
        if not chosen:
            if self._hover_under_way() and self._held_back < HELD_BACK:
                return False
            self._held_back = 0
            chosen = sorted(self._prefilling, key=lambda s: s.priority)
        parts: list[PrefillPart] = []
        budget = self._prefill_tokens
        for sequence in chosen:
            if budget == 0:
                break
            start = sequence.computed
            end = min(len(sequence.prompt), start + budget)
            parts.append(PrefillPart(sequence, start, end, first=sequence.promised == 0))
            budget -= end - start
        try:
            pending = self._executor.prefill(parts)
        except torch.OutOfMemoryError as error:
            self._shrink_prefill(parts, error)
            return True
        finished = [part.sequence for part in parts if part.last]
        for part in parts:
            part.sequence.computed = part.end
            part.sequence.promised = 1
            part.sequence.flights += 1
        for sequence in finished:
            del self._prefilling[sequence]
            if self._executor.shares_prefixes:
                self._pool.publish(sequence.prompt, sequence.pages)
        others = [part.sequence for part in parts if not part.last]
        self._prefills.append((pending, finished + others))
        self._admit()  # now, so that it is known whether this was the last prefill
        nobody_decodes = all(s.over for s in self._decoding)
        if not self._executor.overlaps or nobody_decodes or (not self._prefilling and self._only_batch()):
            self._join_prefills()
        return True

    def _join_prefills(self) -> None:
        # the next step waits on the device for all that is launched, and has all rows
        self._executor.join()
        for _, sequences in self._prefills:
            self._decoding |= {s: None for s in sequences if s.computed == len(s.prompt) and not s.over}

    def _launch_step(self) -> bool:
        if len(self._steps) >= FLIGHTS or self._filling():
            return False
        rows = [s for s in self._decoding if s.promised < s.remaining]
        if not rows:
            return False
        if len(rows) > self._max_batch:  # those that are behind, so that all get on
            rows = heapq.nsmallest(self._max_batch, rows, key=lambda s: (s.priority, s.promised))
        if self._hover_under_way():
            self._held_back += 1
        # programs start in the order of the rows: those of long rows must not be left for the end
        rows.sort(key=lambda s: len(s.prompt), reverse=True)
        drafts = self._executor.draft_tokens if len(rows) <= self._speculative_batch else 0
        try:
            pending = self._executor.step(rows, drafts=drafts)
        except torch.OutOfMemoryError as error:
            self._shrink_batch(rows, error)
            return True
        for sequence in rows:
            sequence.promised += 1
            sequence.flights += 1
        self._steps.append((pending, rows))
        return True

    def _filling(self) -> bool:
        # Steps of few rows cost nearly as much as those of many: where nobody waits for a first word, all
        # prompts that find room are prefilled before anything is decoded.
        return bool(self._prefilling) and self._only_batch()

    def _hover_under_way(self) -> bool:
        read = (s for _, sequences in self._prefills for s in sequences)
        return any(s.priority == Priority.HOVER and not s.over for s in itertools.chain(self._decoding, read))

    def _only_batch(self) -> bool:
        return all(s.priority == Priority.BATCH for s in self._decoding)

    def _land_prefill(self) -> None:
        pending, sequences = self._prefills.popleft()
        rows = pending.wait()
        for sequence in sequences[: len(rows)]:
            if not sequence.over and sequence not in self._decoding:
                self._executor.join()
                self._decoding[sequence] = None
        rows += [[]] * (len(sequences) - len(rows))
        for sequence, row in zip(sequences, rows, strict=True):
            self._landed(sequence, row)

    def _land_step(self) -> None:
        pending, sequences = self._steps.popleft()
        for sequence, row in zip(sequences, pending.wait(), strict=False):
            self._landed(sequence, row[1 : 1 + row[0]])

    def _landed(self, sequence: RunningSequence, tokens: list[int]) -> None:
        sequence.flights -= 1
        if sequence.over:
            self._free(sequence)
            return
        if not tokens:
            return
        sequence.answer.extend(tokens)
        sequence.landed += len(tokens)
        sequence.promised = sequence.landed + sequence.flights
        stopped = tokens[-1] in self._stops
        sequence.on_tokens(tokens)
        if stopped or sequence.landed >= sequence.remaining:
            self._end(sequence)
            sequence.on_finish("stop" if stopped else "length")

    def _end(self, sequence: RunningSequence) -> None:
        sequence.over = True
        self._prefilling.pop(sequence, None)
        self._decoding.pop(sequence, None)
        self._free(sequence)

    def _free(self, sequence: RunningSequence) -> None:
        if sequence.flights == 0 and sequence.slot >= 0:
            self._executor.release(sequence)
            self._pool.release(sequence.pages)
            self._slots.append(sequence.slot)
            sequence.slot, sequence.pages = -1, []

    def _shrink_prefill(self, parts: Sequence[PrefillPart], error: BaseException) -> None:
        self._executor.free_memory()
        self._pool.clear()
        if self._prefill_tokens > SMALLEST_PREFILL:
            self._prefill_tokens = max(SMALLEST_PREFILL, self._prefill_tokens // 2)
            return
        sequence = parts[0].sequence
        self._end(sequence)
        sequence.on_failure(
            EngineFailed(f"Out of memory for a prompt of {len(sequence.prompt)} tokens: {error}")
        )

    def _shrink_batch(self, rows: Sequence[RunningSequence], error: BaseException) -> None:
        while self._prefills:
            self._land_prefill()
        while self._steps:
            self._land_step()
        self._executor.free_memory()
        rows = [s for s in rows if not s.over]
        if len(rows) == 1:
            self._end(rows[0])
            rows[0].on_failure(EngineFailed(f"Out of memory while decoding: {error}"))
        for sequence in rows[len(rows) // 2 :] if len(rows) > 1 else []:
            del self._decoding[sequence]
            self._free(sequence)
            self._slots.remove(max(self._slots))
            self._max_batch -= 1
            sequence.restart()
            heapq.heappush(self._waiting, (sequence.priority, next(self._order), sequence))
