"""One call of ``generate`` on its way to the engine's thread and back."""

import asyncio
from dataclasses import dataclass

from qsum_lsp.engines.protocol import Completion, GenerationRequest, OnText
from qsum_lsp.engines.torch.outbox import Outbox
from qsum_lsp.engines.torch.sequence import FinishReason, RunningSequence


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


@dataclass(frozen=True, slots=True)
class Finished:
    """An answer whose tokens are there and whose text is not; it took ``seconds``."""

    submission: Submission
    sequence: RunningSequence
    reason: FinishReason
    prompt_tokens: int
    seconds: float

    def completion(self, text: str) -> Completion:
        """The answer with its ``text``."""
        return Completion(
            text=text,
            finish_reason=self.reason,
            prompt_tokens=self.prompt_tokens,
            new_tokens=len(self.sequence.answer),
            seconds=self.seconds,
        )
