"""``qsum bench`` on a tiny model: rows and files."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from qsum_lsp.cli import bench as module
from tests.engines.torch.tiny import save_model


def test_rows_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "LENGTHS", {"short": 10, "medium": 20, "long": 40})
    monkeypatch.setitem(module.CURRENT, "quantization", "none")  # 4-bit weights are slow on a CPU
    folder = save_model(tmp_path / "model", "qwen2")
    page = {"body": "w1 w2 w3. w4 w5 w6.", "description": "w1 w2"}
    Path("pages.jsonl").write_text(json.dumps(page), encoding="utf-8")
    arguments = ["--model", str(folder), "--engine", "torch", "--only", "no compile", "--only", "draft model"]
    arguments += ["--pages", "pages.jsonl", "--out", "out"]
    run = CliRunner().invoke(module.bench, arguments, catch_exceptions=False)
    assert run.exit_code == 0, run.output
    (row,) = json.loads(Path("out/bench.json").read_text(encoding="utf-8"))
    assert row["name"] == "no compile"
    assert row["lengths"]["medium"]["tok/s"] > 0
    assert "quantization none" in row["detail"]
    assert 0 <= row["rouge_l"] <= row["rouge_1"] <= 100
    assert "| no compile |" in Path("out/bench.md").read_text(encoding="utf-8")
    assert "no compile" in Path("out/bench.svg").read_text(encoding="utf-8")
