"""One call of ``generate`` on its way to the engine's thread and back."""

import asyncio
from dataclasses import dataclass

from qsum_lsp.engines.protocol import Completion, GenerationRequest, OnText
from qsum_lsp.engines.torch.outbox import Outbox
from qsum_lsp.engines.torch.sequence import RunningSequence


@dataclass(slots=True, eq=False)
class Submission:
    """A request, and the future of the ``loop`` that waits for its answer; ``submitted`` is a ``perf_counter``."""

    request: GenerationRequest
    on_text: OnText | None
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Completion]
    submitted: float
    outbox: Outbox
    sequence: RunningSequence | None = None

    def resolve(self, outcome: Completion | BaseException) -> None:
        """Have the event loop told the outcome."""

        def deliver() -> None:
            if self.future.done():
                return
            if isinstance(outcome, BaseException):
                self.future.set_exception(outcome)
            else:
                self.future.set_result(outcome)

        self.outbox.add(self.loop, deliver)

    def show(self, piece: str) -> None:
        """Have the event loop told a piece of the answer's text."""
        on_text = self.on_text
        if on_text is not None:
            self.outbox.add(self.loop, lambda: on_text(piece))
