"""A command line whose engine answers by script."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qsum_lsp.cli.main import run
from tests.scripted_engine import ScriptedEngine


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ScriptedEngine:
    """The engine of every command in this process; the store is empty."""
    monkeypatch.setenv("QSUM_HOME", str(tmp_path / "qsum-home"))
    scripted = ScriptedEngine()
    monkeypatch.setattr("qsum_lsp.service.create_engine", lambda settings: scripted)
    monkeypatch.setattr("qsum_lsp.cli.updating.model_to_pull", lambda settings: None)
    return scripted


Qsum = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def qsum(engine: ScriptedEngine, capsys: pytest.CaptureFixture[str]) -> Qsum:
    """Run a command with ``--json``: the exit code and the objects."""

    def command(name: str, *arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
        capsys.readouterr()
        code = run([name, "--json", *map(str, arguments)])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return command
