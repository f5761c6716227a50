"""What computes for the scheduler, and the work it has under way."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from qsum_lsp.engines.torch.sequence import RunningSequence

HOVER_SLOTS = 4
"""Slots beyond ``max_batch`` that hovers alone may take: nobody at a keyboard waits until a batch has ended."""


class Pending:
    """Work that was launched; ``wait`` gives its int32 rows (or the ``chosen``) once the device is done."""

    def __init__(
        self,
        rows: torch.Tensor,
        event: torch.cuda.Event | None = None,
        *,
        chosen: Sequence[int] | None = None,
    ) -> None:
        self._rows, self._event, self._chosen = rows, event, chosen

    def ready(self) -> bool:
        """True where ``wait`` would not block."""
        return self._event is None or self._event.query()

    def wait(self) -> list[list[int]]:
        """The rows, after blocking until they are there."""
        if self._event is not None:
            self._event.synchronize()
        rows: list[list[int]] = self._rows.tolist()
        return rows if self._chosen is None else [rows[index] for index in self._chosen]


@dataclass(frozen=True, slots=True)
class PrefillPart:
    """Prompt tokens ``start`` to ``end`` of one sequence; ``first`` where nothing of it was launched before."""

    sequence: RunningSequence
    start: int
    end: int
    first: bool

    @property
    def last(self) -> bool:
        """True where the prompt ends here, so that the first token of the answer comes out."""
        return self.end == len(self.sequence.prompt)


class Executor(Protocol):
    """Computes what the scheduler decides. All calls come from the engine's thread.

    ``pages`` of cache exist; ``shares_prefixes`` tells whether pages may be shared by prompts; ``overlaps``
    whether prefill and decoding run beside each other; ``draft_tokens`` how many tokens a step may draft.
    """

    pages: int
    shares_prefixes: bool
    overlaps: bool
    draft_tokens: int

    def prefill(self, parts: Sequence[PrefillPart]) -> Pending:
        """Launch prompt tokens; yields one row [token] for each part that is its prompt's last."""
        ...

    def step(self, sequences: Sequence[RunningSequence], *, drafts: int) -> Pending:
        """Launch one decode step; yields a row [count, tokens …] for each sequence."""
        ...

    def join(self) -> None:
        """Let steps launched from now on see all prefills launched so far."""
        ...

    def release(self, sequence: RunningSequence) -> None:
        """Forget a sequence whose slot is given up."""
        ...

    def free_memory(self) -> None:
        """Give back what is only kept for speed, after an out-of-memory error."""
        ...
