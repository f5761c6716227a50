"""What a recipe may wait for. The evaluation that drives the recipes answers, batched over all of them.

A need is awaited and comes out at the driver; what the driver sends back is the await's value. So the same
recipe serves a look into the store, which sends nothing it does not have, and a run with an engine.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from qsum_lsp.summaries.answer import Answer
from qsum_lsp.summaries.keys import summary_key
from qsum_lsp.summaries.nodes import Node
from qsum_lsp.summaries.prompt import PromptInput

_T = TypeVar("_T")


class Need(Generic[_T]):
    """Something to be awaited in a recipe."""

    __slots__ = ()

    def __await__(self) -> Generator["Need[Any]", _T, _T]:
        return (yield self)


@dataclass(frozen=True, slots=True)
class Ask:
    """One prompt, and the key of its answer from the engine with ``fingerprint``.

    ``final`` marks the answer that becomes the summary of ``node``, and not that of a chunk. An answer to a
    ``splittable`` one may be TOO_LONG; the others then fall back.
    """

    key: str
    fingerprint: str
    node: Node
    prompt_input: PromptInput
    content_digest: str
    final: bool
    splittable: bool

    def key_for(self, fingerprint: str) -> str:
        """The key of the answer that another engine gives."""
        return summary_key(self.prompt_input, fingerprint=fingerprint, content_digest=self.content_digest)


@dataclass(frozen=True, slots=True)
class Answers(Need[list[Answer]]):
    """The answers to ``asks``, from the store or the engine."""

    asks: tuple[Ask, ...]


@dataclass(frozen=True, slots=True)
class Summaries(Need[list[Answer]]):
    """The finished summaries of ``nodes``."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Stored(Need["str | None"]):
    """The store's value of ``key``."""

    key: str


@dataclass(frozen=True, slots=True)
class Counts(Need[list[int]]):
    """Tokens of each text, by the engine."""

    texts: tuple[str, ...]
