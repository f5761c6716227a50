"""The benchmark of strategies: each way asks what it says it asks, and the scores find their pages."""

import json
from pathlib import Path

import pytest

from benchmarks.strategies import generate, score
from benchmarks.strategies.ways import Narrow, Subject, neighbours, room_of, subjects
from qsum_lsp.evaluation.measures import Rouge
from qsum_lsp.evaluation.pages import EvaluationPage, read_pages
from qsum_lsp.evaluation.predictions import read_predictions
from tests.scripted_engine import ScriptedEngine
from tests.summaries.support import prompted

WORDS = "The server keeps its settings until it stops and tells nobody about them. "
PAGES = [
    {
        "id": f"p{number}", "repo": "acme/docs", "path": path, "title": title,
        "description": f"What {title} does.",
        "body": "\n\n".join(f"## Part {part}\n\n{f'In part {part} of {title}, s' + WORDS[5:] * length}" for part in (1, 2, 3)),
    }
    for number, (path, title, length) in enumerate(
        [("a/x.md", "Alpha", 60), ("a/y.md", "Beta", 3), ("b/z.md", "Gamma", 3), ("a/w.md", "Delta", 3)]
    )
]  # fmt: skip


@pytest.fixture
def found(tmp_path: Path) -> list[Subject]:
    path = tmp_path / "pages.jsonl"
    path.write_text("".join(json.dumps(page) + "\n" for page in PAGES), "utf-8")
    return subjects(read_pages(path), path)


async def test_every_way_is_taken_and_scored(
    found: list[Subject], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ScriptedEngine(context_tokens=8192)
    await generate.measure(engine, found, tmp_path, context=1024)
    generate.write_prompts(found, tmp_path / "prompts.jsonl")
    costs = json.loads((tmp_path / "costs.json").read_text("utf-8"))
    cut = ["truncated-1024", "headings-1024", "semantic-1024", "sliding-1024", "hierarchical-1024"]
    assert list(costs) == ["product", "request", "tree", *cut, "examples-3", "examples-6"]
    for name, spent in costs.items():
        assert list(read_predictions(tmp_path / f"{name}.jsonl")) == (
            ["p0"] if name in cut else ["p0", "p1", "p2", "p3"]
        )
        assert spent["new tokens"] > 0
    with (tmp_path / "samples.jsonl").open("w") as sink:
        for record in map(json.loads, (tmp_path / "prompts.jsonl").read_text("utf-8").splitlines()):
            for text in ("It keeps settings.", "What Alpha does.", "It keeps the settings."):
                answer = {
                    "id": record["id"],
                    "text": text,
                    "finish": "stop",
                    "logprob": -len(text),
                    "new_tokens": 4,
                }
                sink.write(json.dumps(answer) + "\n")
    monkeypatch.setattr("sys.argv", ["score", str(tmp_path / "pages.jsonl"), str(tmp_path)])
    capsys.readouterr()
    score.main()
    lines = capsys.readouterr().out.splitlines()
    rows = {row[0]: row for row in ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)}
    assert len(rows) == 2 + len(costs) + 6
    assert (rows["semantic-1024"][1], rows["semantic-1024"][-1]) == ("1", "truncated-1024")
    assert float(rows["samples, the best (oracle)"][2]) > float(rows["samples, by MBR"][2])


async def test_what_the_ways_show(found: list[Subject], tmp_path: Path) -> None:
    engine = ScriptedEngine(context_tokens=8192)
    await generate.measure(engine, found[:1] + found[3:], tmp_path, context=1024, only=["truncated-1024"])
    (shown,) = [prompted(one) for one in engine.requests[1:]]
    room = await room_of(Narrow(engine, 1024))
    assert room / 2 < len(shown.split()) < 1024
    assert "Further headings" not in shown
    assert "Further headings" in prompted(engine.requests[0])
    engine.requests.clear()
    await generate.measure(engine, found, tmp_path, context=1024, only=["examples-3"])
    examples = [prompted(one) for one in engine.requests[1:]]
    assert all(text.count("- ") >= 3 for text in examples)
    assert "What Delta does." in examples[0]
    assert "What Alpha does." not in examples[0]


def test_neighbours_of_the_same_folder_come_first(found: list[Subject]) -> None:
    assert [one.page.title for one in neighbours(found[0], found, 3)] == ["Beta", "Delta", "Gamma"]


def test_rankings() -> None:
    texts = ["It keeps settings.", "It keeps the settings.", "It keeps the settings of it."]
    scores = score.agreement(texts)
    assert scores.index(max(scores)) == 1
    samples = {"p1": [score.Sample("It sorts 17 files.", -0.1), score.Sample("It keeps settings.", -0.9)]}
    page = {"body": "It keeps settings.", "description": "Keeps settings.", "id": "p1", "title": "Store"}
    pages = {"p1": EvaluationPage(site="s", band="short", verbatim=False, **page)}
    chosen = {name: texts["p1"] for name, texts in score.ranked(samples, pages, Rouge()).items()}
    assert chosen["samples, by likelihood"] == "It sorts 17 files."
    assert chosen["samples, by grounding"] == "It keeps settings."
    assert chosen["samples, by the lead"] == "It keeps settings."
