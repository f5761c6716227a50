"""One row of ``qsum bench`` with a scripted engine: what it asks, and what is kept when the engine fails or hangs."""

import asyncio
from dataclasses import replace

import pytest

from qsum_lsp.cli import bench_rows
from qsum_lsp.cli.bench_rows import LENGTHS, NEW_TOKENS, Measured, measure
from qsum_lsp.engines.protocol import EngineFailed, EngineStatus, GenerationRequest
from qsum_lsp.evaluation.pages import EvaluationPage
from qsum_lsp.settings import Settings
from tests.scripted_engine import ScriptedEngine

PAGES = [
    EvaluationPage(
        id=str(number), site="", title="", body=f"Page {number}.", description="x", band="", verbatim=False
    )
    for number in range(3)
]


def long_answer(_request: GenerationRequest) -> str:
    return " ".join(["word"] * NEW_TOKENS)


def measured(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, *, compile_: str = "auto", seconds: float = 60
) -> Measured:
    monkeypatch.setattr(bench_rows, "create_local_engine", lambda _: engine)
    monkeypatch.setattr(bench_rows, "engine_name", lambda _: "torch")
    settings = replace(Settings(), compile=compile_)
    return asyncio.run(measure("row", settings, PAGES, seconds))


def test_no_text_begins_as_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine(long_answer)
    row = measured(engine, monkeypatch)
    texts = [request.source for request in engine.requests if request.source.startswith("In step")]
    assert len({text.split(",")[0] for text in texts}) == len(texts) > 15
    assert {length: row.lengths[length]["new tokens"] for length in LENGTHS} == dict.fromkeys(
        LENGTHS, NEW_TOKENS
    )
    assert row.left_out == []


def test_one_at_a_time_where_steps_are_compiled_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine(long_answer)
    row = measured(engine, monkeypatch, compile_="default")
    assert engine.most_running == 1
    assert row.rouge_l is not None
    assert row.together == {}
    assert measured(other := ScriptedEngine(long_answer), monkeypatch).together.keys() == {8}
    assert other.most_running == 8


class Compiling(ScriptedEngine):
    """Compiles for a while at the first request of each number of words."""

    def __init__(self) -> None:
        super().__init__(long_answer)
        self.looks: dict[int, int] = {}

    def status(self) -> EngineStatus:
        size = len(self.requests[-1].source.split()) // 50 if self.requests else 0
        self.looks[size] = self.looks.get(size, 0) + 1
        return EngineStatus(state="ready", detail="getting faster" if self.looks[size] < 4 else "")


def test_figures_are_of_compiled_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Compiling()
    row = measured(engine, monkeypatch, compile_="default")
    assert set(row.lengths) == set(LENGTHS)
    pages = [request.source for request in engine.requests if request.source.startswith("Page")]
    assert pages == ["Page 0.", "Page 0.", "Page 1.", "Page 2."]  # the first one again, when it was compiled


def test_what_was_measured_before_a_failure_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(request: GenerationRequest) -> str:
        if len(request.source.split()) > LENGTHS["medium"] + 50:
            raise EngineFailed("too much")
        return long_answer(request)

    engine = ScriptedEngine(answer)
    row = measured(engine, monkeypatch)
    assert row.failed == "too much"
    assert set(row.lengths) == {"medium", "short"}
    assert engine.closed


def test_an_engine_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ScriptedEngine(long_answer)

    def answer(request: GenerationRequest) -> str:
        if request.source.startswith("Page"):
            engine.seconds_per_word = 1000
        return long_answer(request)

    engine.answer = answer
    row = measured(engine, monkeypatch, seconds=2)
    assert row.left_out == ["ROUGE, many at once: not measured within 2 s"]
    assert set(row.lengths) == set(LENGTHS)
    assert len(engine.cancelled) == len(PAGES)
    assert engine.closed
