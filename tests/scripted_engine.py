"""An engine that answers by script: for counting, timing and faults, never in place of a real one."""

import asyncio
from collections.abc import Callable, Sequence

from qsum_lsp.engines.protocol import (
    Completion,
    EngineIdentity,
    EngineStatus,
    GenerationRequest,
    OnText,
)

Answer = Callable[[GenerationRequest], str]


def first_words(request: GenerationRequest) -> str:
    """The first twelve words of the source, as a sentence."""
    return " ".join(request.source.split()[:12]).rstrip(".") + "."


class ScriptedEngine:
    """Answers each request by ``answer``, a word every ``seconds_per_word``; a word is a token.

    ``requests`` are all that came, ``cancelled`` those given up; an exception that ``answer`` raises is the
    request's failure. Set ``gate`` (an asyncio.Event) to hold all answers back until it is set.
    """

    def __init__(
        self,
        answer: Answer = first_words,
        *,
        seconds_per_word: float = 0.0,
        context_tokens: int = 4096,
        fingerprint: str = "scripted-1",
    ) -> None:
        self.answer = answer
        self.seconds_per_word = seconds_per_word
        self.identity = EngineIdentity(
            name="scripted", model="scripted", fingerprint=fingerprint, context_tokens=context_tokens
        )
        self.requests: list[GenerationRequest] = []
        self.cancelled: list[GenerationRequest] = []
        self.running = 0
        self.most_running = 0
        self.gate: asyncio.Event | None = None
        self.closed = False

    def status(self) -> EngineStatus:
        return EngineStatus(state="ready", device="script", running=self.running)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        self.requests.append(request)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        started = asyncio.get_running_loop().time()
        try:
            if self.gate is not None:
                await self.gate.wait()
            words = self.answer(request).split()
            finish = "stop" if len(words) <= request.max_new_tokens else "length"
            words = words[: request.max_new_tokens]
            for index, word in enumerate(words):
                await asyncio.sleep(self.seconds_per_word)
                if on_text is not None:
                    on_text(word if index == 0 else f" {word}")
        except asyncio.CancelledError:
            self.cancelled.append(request)
            raise
        finally:
            self.running -= 1
        return Completion(
            text=" ".join(words),
            finish_reason=finish,  # type: ignore[arg-type]
            prompt_tokens=sum(len(message.content.split()) for message in request.messages),
            new_tokens=len(words),
            seconds=asyncio.get_running_loop().time() - started,
        )

    async def aclose(self) -> None:
        self.closed = True
