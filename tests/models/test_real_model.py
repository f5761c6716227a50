"""The model that the real tests use: the true file, and what becomes of it when it cannot be had."""

import os
import subprocess
import sys
from pathlib import Path

from qsum_lsp import models
from tests.real_model import ALIAS


def test_the_file_is_the_one_of_the_catalogue(real_model_path: Path) -> None:
    entry = models.find(ALIAS)
    assert isinstance(entry, models.ModelEntry)
    assert real_model_path.stat().st_size == entry.size
    with real_model_path.open("rb") as file:
        assert file.read(4) == b"GGUF"
    assert models.model_hash(real_model_path) == entry.sha256


def test_without_the_file_the_run_fails_and_says_why(tmp_path: Path) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("no folder can be below")
    environment = os.environ | {
        "QSUM_TEST_MODELS": str(blocked / "models"),
        "HF_HUB_CACHE": str(tmp_path / "no-cache"),
    }
    own = f"{__file__}::test_the_file_is_the_one_of_the_catalogue"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", own]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "The real model that these tests need cannot be had" in result.stdout
    assert str(blocked) in result.stdout
