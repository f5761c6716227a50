"""The GPU's benchmarks on the CPU and a tiny model: whether they run, which nothing else here would show."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu_check, gpu_real
from tests.engines.torch.tiny import words


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """Eight pages in the tiny model's words."""
    file = tmp_path / "pages.jsonl"
    bodies = [" ".join(f"w{n}" for n in words(length, length)) for length in range(345, 353)]
    file.write_text(
        "".join(json.dumps({"body": body, "description": "w1 w2"}) + "\n" for body in bodies), "utf-8"
    )
    return file


async def test_check_finds_no_difference(
    qwen: Path, pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_check, "COUNT", 8)
    monkeypatch.setattr(gpu_check, "NEW", 12)
    monkeypatch.setattr(gpu_check, "DEVICE", "cpu")
    out = tmp_path / "check.json"
    monkeypatch.setattr(sys, "argv", ["gpu_check", str(qwen), "--data", str(pages), "--out", str(out)])
    await gpu_check.main()
    found: dict[str, Any] = json.loads(out.read_text("utf-8"))
    assert [way["that differ"] for way in found["mates"].values()] == [0, 0, 0]
    assert set(found["recorded"].values()) == {0}
    assert found["forced"]["kernels, 1 rows"]["as float32"] == 1.0
    before, after = found["cancelled"].values()
    assert before == after


async def test_speculation_gives_the_same_answers(
    qwen: Path, pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_real, "DEVICE", "cpu")
    out = tmp_path / "real.json"
    arguments = [str(qwen), str(pages), "--out", str(out), "--parts", "speculation", "--draft", str(qwen)]
    monkeypatch.setattr(sys, "argv", ["gpu_real", *arguments])
    await gpu_real.main()
    found: dict[str, Any] = json.loads(out.read_text("utf-8"))
    drafted = [found[name] for name in found if name not in ("references", "speculation off")]
    assert [each["same answers"] for each in drafted] == [8] * 6
    assert found["speculation off"]["new tokens"] > 8
