"""One request on its way through the engine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from qsum_lsp.engines.protocol import EngineFailed

FinishReason = Literal["stop", "length"]


@dataclass(slots=True, eq=False, kw_only=True)
class RunningSequence:
    """A prompt, where its keys and values are, and whom to tell. Belongs to the engine's thread.

    ``limit`` is the length of prompt and answer together at which decoding ends. ``computed`` counts prompt
    tokens in the cache or on their way, ``promised`` the tokens of the answer that launched work will yield at
    least, ``landed`` those that came, ``flights`` the launched work that still touches this sequence's memory.
    """

    prompt: list[int]
    limit: int
    priority: int
    on_tokens: Callable[[list[int]], None]
    on_finish: Callable[[FinishReason], None]
    on_failure: Callable[[EngineFailed], None]
    answer: list[int] = field(default_factory=list)
    slot: int = -1
    pages: list[int] = field(default_factory=list)
    computed: int = 0
    promised: int = 0
    flights: int = 0
    landed: int = 0
    over: bool = False

    @property
    def remaining(self) -> int:
        """Tokens of the answer still allowed, counted from the prompt as it was last prefilled."""
        return self.limit - len(self.prompt)

    def restart(self) -> None:
        """Forget what was computed; the answer so far becomes part of the prompt."""
        self.prompt = self.prompt + self.answer[len(self.answer) - self.landed :]
        self.computed = self.promised = self.landed = 0
        self.slot = -1
        self.pages = []
