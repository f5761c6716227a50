"""``qsum bench`` on a tiny model: rows, files, and what is said of figures that are missing."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from qsum_lsp.cli import bench as command
from qsum_lsp.cli import bench_rows as measuring
from tests.engines.torch.tiny import save_model

PAGE = {"body": "w1 w2 w3. w4 w5 w6.", "description": "w1 w2"}


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny model; texts are as long as fits it."""
    monkeypatch.chdir(tmp_path)
    # changed in place, because the table and the plot name them too
    for length, words in {"short": 10, "medium": 20, "long": 40}.items():
        monkeypatch.setitem(measuring.LENGTHS, length, words)
    monkeypatch.setitem(command.CURRENT, "quantization", "none")  # 4-bit weights are slow on a CPU
    Path("pages.jsonl").write_text(json.dumps(PAGE), encoding="utf-8")
    return save_model(tmp_path / "model", "qwen2")


def run(model: Path, *arguments: str) -> Result:
    given = ["--model", str(model), "--engine", "torch", "--out", "out", *arguments]
    return CliRunner().invoke(command.bench, given, catch_exceptions=False)


def rows() -> dict[str, dict[str, Any]]:
    found = json.loads(Path("out/bench.json").read_text(encoding="utf-8"))
    return {row["name"]: row for row in found}


def line(name: str) -> str:
    table = Path("out/bench.md").read_text(encoding="utf-8").splitlines()
    return next(line for line in table if line.startswith(f"| {name} |"))


def test_rows_and_files(model: Path) -> None:
    done = run(model, "--only", "no compile", "--pages", "pages.jsonl")
    assert done.exit_code == 0, done.output
    row = rows()["no compile"]
    assert set(row["lengths"]) == {"short", "medium", "long"}
    assert all(figures["tok/s"] > 0 for figures in row["lengths"].values())
    assert set(row["together"]) == {"8"}
    assert "quantization none" in row["detail"]
    assert 0 <= row["rouge_l"] <= row["rouge_1"] <= 100
    assert row["memory_mib"] > 50
    assert "whole process" in row["memory_of"]
    assert row["memory_of"] in Path("out/bench.md").read_text(encoding="utf-8")
    assert "quantization none" in line("no compile")
    assert "no compile" in Path("out/bench.svg").read_text(encoding="utf-8")


def test_rows_whose_steps_are_compiled_by_size_are_whole(model: Path) -> None:
    done = run(model, "--only", "current", "--only", "no compile", "--pages", "pages.jsonl")
    assert done.exit_code == 0, done.output
    row = rows()["current"]
    assert set(row["lengths"]) == {"short", "medium", "long"}
    assert row["rouge_1"] is not None
    assert row["together"] == {}
    assert all("answers ended after" in told for told in row["left_out"])  # where the tiny model stops
    assert "getting faster" not in row["detail"]
    assert "compiling failed" not in row["detail"]
    assert "1.00 / 1.00 / 1.00" in line("current")
    assert "×)" in Path("out/bench.svg").read_text(encoding="utf-8")


def test_a_row_that_fails_says_why(model: Path) -> None:
    done = run(model, "--only", "flash-attn 3", "--only", "draft model", "--only", "no compile")
    assert done.exit_code == 1
    assert "needs an NVIDIA GPU" in rows()["flash-attn 3"]["failed"]
    assert "failed: attention = 'flash_attention_3'" in line("flash-attn 3")
    assert "draft_model is not set" in line("draft model")
    assert "flash_attention_3" in Path("out/bench.svg").read_text(encoding="utf-8")
    assert rows()["no compile"]["lengths"]["long"]["tok/s"] > 0


def test_a_row_that_was_not_asked_for_may_fail(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "TECHNIQUES", {"flash-attn 3": {"attention": "flash_attention_3"}})
    done = run(model)
    assert done.exit_code == 0
    assert "needs an NVIDIA GPU" in rows()["flash-attn 3"]["failed"]


def test_a_text_that_does_not_fit_is_left_out(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(measuring.LENGTHS, "long", 600)
    done = run(model, "--only", "no compile")
    assert done.exit_code == 0
    row = rows()["no compile"]
    assert set(row["lengths"]) == {"short", "medium"}
    assert "long: " in line("no compile")
    assert "context" in line("no compile")
    assert row["together"]


def test_a_row_without_time_says_what_is_missing(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "ROW_SECONDS", 0.001)
    done = run(model, "--only", "no compile", "--pages", "pages.jsonl")
    assert done.exit_code == 0
    assert rows()["no compile"]["lengths"] == {}
    assert "medium, short, long, ROUGE, many at once: not measured within" in line("no compile")


def test_no_row_begins_after_the_time(model: Path) -> None:
    done = run(model, "--only", "no compile", "--only", "bf16 weights", "--seconds", "0")
    assert done.exit_code == 0
    assert all("seconds were over" in row["left_out"][0] for row in rows().values())
    assert "seconds were over" in line("bf16 weights")
