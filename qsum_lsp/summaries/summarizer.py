"""Documents in, summaries out: the plan against the store, and the rest by the engine."""

from collections.abc import Callable, Collection

from qsum_lsp.document import Document
from qsum_lsp.engines.protocol import Engine, Priority
from qsum_lsp.summaries.evaluation import Evaluation
from qsum_lsp.summaries.flights import Flights
from qsum_lsp.summaries.nodes import build_nodes, build_some_nodes
from qsum_lsp.summaries.recipe import Recipe
from qsum_lsp.summaries.run import Run
from qsum_lsp.summaries.shelf import Shelf, TextStore
from qsum_lsp.summaries.values import (
    DocumentSummary,
    OnProgress,
    SectionDone,
    SectionSummary,
    SummaryOptions,
    Usage,
)


class Summarizer:
    """Summaries from one engine and one store. Safe for many documents under way on one event loop."""

    def __init__(self, engine: Engine, store: TextStore) -> None:
        self.engine = engine
        self.store = store
        self._shelf = Shelf(store)
        self._flights = Flights(engine, self._shelf)

    def lookup(
        self, document: Document, options: SummaryOptions, *, only: Collection[str] | None = None
    ) -> DocumentSummary:
        """What is known already of the sections in ``only``, or of all, from the store alone: no engine, no waiting.

        A few sections of a long page cost no more than their own text. Ids that the document does not have are
        left out.
        """
        found: dict[str, SectionSummary] = {}

        def keep(summary: SectionSummary) -> None:
            found[summary.section_id] = summary

        nodes = build_nodes(document) if only is None else build_some_nodes(document, only)
        evaluation = self._evaluation(options, keep)
        evaluation.start(nodes.values())
        evaluation.settle()
        evaluation.close()
        return DocumentSummary(summaries={node_id: found[node_id] for node_id in nodes if node_id in found})

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

        What these are made from is made too, but neither returned nor announced as done. A section that the engine
        cannot do falls back to its best sentence, and its ``note`` says why. Cancelling stops the engine's work for
        this call at once and keeps what is finished in the store. Raises EngineUnavailable, and ValueError for an id
        that the document does not have.
        """
        nodes = build_nodes(document)
        wanted = list(nodes) if only is None else [node_id for node_id in nodes if node_id in only]
        if only is not None and (unknown := set(only).difference(nodes)):
            raise ValueError(f"no such section: {', '.join(sorted(unknown))}")
        asked = frozenset(wanted)
        found: dict[str, SectionSummary] = {}

        def done(summary: SectionSummary) -> None:
            if summary.section_id in asked:
                found[summary.section_id] = summary
                if on_progress is not None:
                    on_progress(SectionDone(summary=summary, done=len(found), total=len(wanted)))

        evaluation = self._evaluation(options, done)
        evaluation.start(nodes[node_id] for node_id in wanted)
        run = Run(evaluation, self.engine, self._flights, priority=priority, on_progress=on_progress)
        usage = Usage()
        try:
            usage = await run.complete()
        finally:
            evaluation.close()
            self._shelf.flush()
        return DocumentSummary(summaries={node_id: found[node_id] for node_id in wanted}, usage=usage)

    def _evaluation(self, options: SummaryOptions, on_done: Callable[[SectionSummary], None]) -> Evaluation:
        identity = self.engine.identity

        def keep(key: str, value: str) -> None:
            if self.engine.identity.fingerprint == identity.fingerprint:
                self._shelf.put(key, value)

        recipe = Recipe(
            options,
            fingerprint=identity.fingerprint,
            context_tokens=lambda: self.engine.identity.context_tokens,
            keep=keep,
        )
        return Evaluation(recipe, self._shelf, on_done)
