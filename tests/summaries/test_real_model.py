"""From a document to its summaries with the real 0.5B model."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from qsum_lsp.document import parse
from qsum_lsp.engines.llama import LlamaEngine
from qsum_lsp.summaries import PAGE, SectionText, Summarizer, SummaryOptions, Usage
from tests.summaries.support import DictStore

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPTIONS = SummaryOptions()
CONTEXT = 640  # tokens, so that one section of the page does not fit one prompt

TEXT = """\
# Harbour

Harbour copies folders between machines. It watches the source folder, notices every changed file and sends only
the blocks that differ. Both ends keep a journal, so a copy that was interrupted goes on where it stopped.

## Install

The installer needs Python 3.11 or newer and about 40 MB of disk. It writes nothing outside the folder that you name,
and removing that folder removes the program.

```sh
python -m pip install harbour
harbour init ~/harbour
```

## Conflicts

When a file was changed on both sides since the last copy, Harbour keeps both. The newer one keeps its name, and the
older one gets the suffix `.conflict`. Nothing is merged, and nothing is deleted.

## Licence

MIT.

## History

""" + "\n\n".join(
    f"Release 1.{number} came out in spring and mended {number + 3} faults. It also made the copy of large folders "
    f"faster, since the journal is now read only once, and it added a setting for machine number {number}, which says "
    "how much memory the watcher may take before it begins to write its state to the disk."
    for number in range(1, 8)
)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine(real_model_path: Path) -> AsyncIterator[LlamaEngine]:
    engine = LlamaEngine(
        real_model_path, model_name="qwen2.5-coder-0.5b", model_hash="test", context_tokens=CONTEXT
    )
    yield engine
    await engine.aclose()


async def test_a_page_is_summarised_once_and_an_edit_costs_its_path(engine: LlamaEngine) -> None:
    store = DictStore()
    streamed: dict[str, str] = {}

    def listen(event: object) -> None:
        if isinstance(event, SectionText):
            streamed[event.section_id] = streamed.get(event.section_id, "") + event.piece

    document = parse(TEXT)
    result = await Summarizer(engine, store).summarize(document, OPTIONS, on_progress=listen)
    assert list(result.summaries) == ["1", "1.1", "1.2", "1.3", "1.4", PAGE]
    assert all(summary.text and len(summary.text) <= 280 for summary in result.summaries.values())
    assert result.summaries["1.3"].source == "verbatim"
    assert "model" in {summary.source for summary in result.summaries.values()}
    assert {"1", "1.1", "1.2", "1.4"} == set(streamed)  # the page says itself what it is about
    assert result.usage.new_tokens > 50

    again = await Summarizer(engine, store).summarize(document, OPTIONS)
    assert again.usage == Usage()
    assert [one.text for one in again.summaries.values()] == [one.text for one in result.summaries.values()]

    edited = parse(TEXT.replace("Nothing is merged", "Nothing is ever merged"))
    known = Summarizer(engine, store).lookup(edited, OPTIONS)
    assert {"1.1", "1.3", "1.4"} <= set(known.summaries)
    assert "1.2" not in known.summaries


async def test_cancelling_frees_the_engine(engine: LlamaEngine) -> None:
    heard = asyncio.Event()

    def listen(event: object) -> None:
        if isinstance(event, SectionText):
            heard.set()

    run = asyncio.create_task(
        Summarizer(engine, DictStore()).summarize(parse(TEXT), OPTIONS, on_progress=listen)
    )
    await asyncio.wait_for(heard.wait(), 60)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert engine.status().running == 0
    assert engine.status().waiting == 0
