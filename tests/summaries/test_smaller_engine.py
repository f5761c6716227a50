"""An engine that gives way to a smaller one while it loads, after the keys were made."""

from dataclasses import replace

from qsum_lsp.document import parse
from qsum_lsp.engines.protocol import Completion, GenerationRequest, OnText
from qsum_lsp.summaries import Summarizer, SummaryOptions
from tests.scripted_engine import ScriptedEngine
from tests.summaries.support import PROSE, DictStore, texts, tree

OPTIONS = SummaryOptions()


class ShrinkingEngine(ScriptedEngine):
    """Is another engine from its first answer on."""

    async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        self.identity = replace(self.identity, fingerprint="smaller-1")
        return await super().generate(request, on_text=on_text)


async def test_its_answers_are_kept_under_its_own_keys_from_the_first_document_on() -> None:
    document = parse(tree({"# Guide": PROSE, "## Install": f"Install. {PROSE}"}))
    store = DictStore()
    summarizer = Summarizer(ShrinkingEngine(fingerprint="bigger-1"), store)
    shown = await summarizer.summarize(document, OPTIONS)
    again = await summarizer.summarize(document, OPTIONS)
    assert texts(shown) == texts(again)
    assert all(summary.cached for summary in again.summaries.values() if summary.source == "model")
    assert any(summary.source == "model" for summary in again.summaries.values())
    bigger = Summarizer(ScriptedEngine(fingerprint="bigger-1"), store)
    assert not any(found.source == "model" for found in bigger.lookup(document, OPTIONS).summaries.values())
    smaller = Summarizer(ScriptedEngine(fingerprint="smaller-1"), store)
    assert texts(smaller.lookup(document, OPTIONS)) == texts(again)
