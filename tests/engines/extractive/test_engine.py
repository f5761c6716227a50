"""The extractive engine: from the source alone, in nine languages."""

import pytest

from qsum_lsp.engines.extractive import ExtractiveEngine
from qsum_lsp.engines.protocol import Engine, GenerationRequest, Message
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.text.extract import EXTRACT_VERSION
from tests.text.samples import SAMPLES, Sample


def request(source: str, max_new_tokens: int = 96) -> GenerationRequest:
    return GenerationRequest(
        messages=(Message("user", "not looked at"),), source=source, max_new_tokens=max_new_tokens
    )


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.language)
async def test_the_telling_sentence_is_the_answer(sample: Sample) -> None:
    pieces: list[str] = []
    completion = await ExtractiveEngine().generate(request(sample.text), on_text=pieces.append)
    assert completion.text == sample.telling
    assert pieces == [sample.telling]
    assert completion.finish_reason == "stop"
    assert completion.new_tokens > 0
    assert completion.prompt_tokens > completion.new_tokens


@pytest.mark.parametrize("source", ["", " \n\n "])
async def test_no_source_gives_an_empty_answer_and_no_piece(source: str) -> None:
    pieces: list[str] = []
    completion = await ExtractiveEngine().generate(request(source), on_text=pieces.append)
    assert (completion.text, completion.new_tokens, pieces) == ("", 0, [])


async def test_a_small_limit_cuts_and_says_so() -> None:
    completion = await ExtractiveEngine().generate(request(SAMPLES[0].telling, max_new_tokens=8))
    assert completion.text.endswith("…")
    assert len(completion.text) <= 32
    assert completion.finish_reason == "length"


async def test_identity_counting_and_closing() -> None:
    engine: Engine = ExtractiveEngine()
    assert EXTRACT_VERSION in engine.identity.fingerprint
    assert engine.status().state == "ready"
    assert await engine.count_tokens(["", "two words"]) == [0, 2]
    await engine.aclose()
    with pytest.raises(EngineUnavailable, match="closed"):
        await engine.generate(request("Text."))
