"""What an engine is to the rest of qsum: messages in, text out, many requests at once.

An engine knows nothing of Markdown. To batch, callers simply have several ``generate`` calls under way
at once; to cancel, they cancel the task that awaits one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Protocol


class EngineFailed(Exception):
    """One request failed; the engine may still serve others, and the request may be repeated."""


class RequestTooLong(EngineFailed):
    """The prompt and the answer do not fit the context; repeating will not help."""


class Priority(IntEnum):
    """What waits for an engine is served in this order, lowest first, oldest first within a level."""

    HOVER = 0
    VISIBLE = 1
    DOCUMENT = 2
    BATCH = 3


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A chat to be continued greedily.

    ``source`` is the plain text that the answer is about. An extractive engine answers from it alone, and
    speculative decoding looks its drafts up in it; ``messages`` contain it too. What comes after ``enough_chars``
    characters or ``enough_sentences`` sentences of the answer is of no use: an engine may end it there, with the
    finish reason "length".
    """

    messages: tuple[Message, ...]
    source: str
    max_new_tokens: int
    enough_chars: int | None = None
    enough_sentences: int | None = None
    priority: Priority = Priority.BATCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The answer to one request. ``seconds`` runs from the submission to the last token."""

    text: str
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int
    new_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineIdentity:
    """What an engine is, known without loading it.

    ``fingerprint`` changes whenever its answers may change: model hash, quantisation, dtype.
    ``context_tokens`` bounds prompt and answer of one request together.
    """

    name: str
    model: str
    fingerprint: str
    context_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineStatus:
    """A snapshot for people. Unknown figures are None; ``slots`` are the requests that can decode together."""

    state: Literal["unloaded", "loading", "ready", "failed"]
    device: str | None = None
    running: int = 0
    waiting: int = 0
    slots: int | None = None
    memory_bytes: int | None = None
    tokens_per_second: float | None = None
    detail: str = ""


OnText = Callable[[str], None]
"""Called on the event loop with each new piece of the answer, in order."""


class Engine(Protocol):
    """A summarising engine. All methods belong to one event loop."""

    @property
    def identity(self) -> EngineIdentity:
        """What this engine is; reading it loads nothing and does no network I/O."""
        ...

    def status(self) -> EngineStatus:
        """What the engine is doing now; never blocks."""
        ...

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text in the engine's own tokenizer, special tokens not counted.

        Raises EngineUnavailable.
        """
        ...

    async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        """Continue the chat greedily; loads the model first where that has not happened yet.

        Requests under way at the same time share decode steps where the engine can. Cancelling the awaiting
        task stops the decoding within one step and frees what the request held.

        Raises EngineUnavailable (nothing can be served), EngineFailed (this request), RequestTooLong.
        """
        ...

    async def aclose(self) -> None:
        """Stop what runs and release the model. Further calls raise EngineUnavailable."""
        ...
