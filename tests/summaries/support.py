"""What the tests of summaries share."""

from collections.abc import Mapping, Sequence

from qsum_lsp.document import parse
from qsum_lsp.engines.protocol import GenerationRequest
from qsum_lsp.summaries import DocumentSummary, Summarizer, SummaryOptions
from tests.scripted_engine import ScriptedEngine

PROSE = (
    "The server reads its settings once at start and keeps them until it stops. "
    "A change on disk is noticed only after a restart. "
    "Unknown keys are reported together with the file that holds them."
)


class DictStore:
    """A store in memory that counts its uses."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.gets = 0
        self.puts = 0

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        self.gets += 1
        return {key: self.values[key] for key in keys if key in self.values}

    def put_many(self, values: Mapping[str, str]) -> None:
        self.puts += 1
        self.values.update(values)


class CountingEngine(ScriptedEngine):
    """A scripted engine that also counts its token counts."""

    counts = 0

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        self.counts += 1
        return await super().count_tokens(texts)


def texts(summary: DocumentSummary) -> dict[str, str]:
    return {section_id: one.text for section_id, one in summary.summaries.items()}


def prompted(request: GenerationRequest) -> str:
    return "\n".join(message.content for message in request.messages)


async def summarize(
    text: str, engine: ScriptedEngine | None = None, options: SummaryOptions | None = None
) -> DocumentSummary:
    summarizer = Summarizer(engine or ScriptedEngine(), DictStore())
    return await summarizer.summarize(parse(text), options or SummaryOptions())


def tree(own: Mapping[str, str]) -> str:
    """A document from heading lines and their texts."""
    return "\n\n".join(f"{heading}\n\n{text}" for heading, text in own.items())
