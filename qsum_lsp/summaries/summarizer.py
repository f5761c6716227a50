"""Documents in, summaries out: the plan against the store, and the rest by the engine."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from qsum_lsp.document import Document
from qsum_lsp.engines.protocol import Engine, Priority
from qsum_lsp.summaries.values import DocumentSummary, OnProgress, SummaryOptions


class TextStore(Protocol):
    """A bounded store of texts by key, shared by processes. It never raises: a broken disk is an empty store."""

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """The values of those keys that are known."""
        ...

    def put_many(self, values: Mapping[str, str]) -> None:
        """Keep the values; the longest unused go when the store is full."""
        ...


class Summarizer:
    """Summaries from one engine and one store. Safe for many documents under way on one event loop."""

    def __init__(self, engine: Engine, store: TextStore) -> None:
        self.engine = engine
        self.store = store

    def lookup(self, document: Document, options: SummaryOptions) -> DocumentSummary:
        """What is known already, from the store alone: no engine call, no waiting."""
        raise NotImplementedError

    async def summarize(
        self,
        document: Document,
        options: SummaryOptions,
        *,
        only: Collection[str] | None = None,
        priority: Priority = Priority.BATCH,
        on_progress: OnProgress | None = None,
    ) -> DocumentSummary:
        """Summaries of the sections in ``only`` (``PAGE`` among them for the page), or of all of them.

        A section that the engine cannot do falls back to its best sentence, and its ``note`` says why.
        Cancelling keeps what is finished in the store. Raises EngineUnavailable.
        """
        raise NotImplementedError
