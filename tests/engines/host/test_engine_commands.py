"""``qsum engine`` as people and scripts meet it, around the real processes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from qsum_lsp.cli import engine as commands
from qsum_lsp.engines.host import place as place_module
from qsum_lsp.engines.host.launcher import Launcher
from qsum_lsp.engines.host.place import EnginePlace, EngineRecord
from qsum_lsp.engines.protocol import EngineIdentity, GenerationRequest, Message
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.service import create_engine, engine_command, shared_settings
from qsum_lsp.settings.values import Settings
from tests.engines.host.engines import Engines
from tests.engines.host.scripted_host import client, command

NAME = "0123456789abcdef"


def qsum(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "qsum_lsp", "engine", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


async def test_status_and_stop(engines: Engines) -> None:
    nothing = qsum("status")
    assert (nothing.returncode, "No shared engine runs" in nothing.stdout) == (1, True)
    assert qsum("status", "--json").stdout == ""
    engine = client(NAME)
    await engine.generate(GenerationRequest(messages=(Message("user", "x"),), source="x", max_new_tokens=4))
    await engine.aclose()
    shown = qsum("status")
    assert shown.returncode == 0
    assert "scripted: ready" in shown.stdout
    assert "clients  1 " in shown.stdout
    (line,) = qsum("status", "--json").stdout.splitlines()
    health = json.loads(line)
    assert health["pid"] == engines.alive()[0]
    assert {
        "device",
        "memory_bytes",
        "running",
        "waiting",
        "tokens_per_second",
        "uptime_seconds",
    } <= health.keys()
    stopped = qsum("stop")
    assert "Stopped scripted" in stopped.stdout
    assert engines.alive() == []
    assert "No shared engine runs" in qsum("stop").stdout


def test_an_engine_without_a_model_file_says_how_to_get_one(engines: Engines, tmp_path: Path) -> None:
    result = qsum("start", "--engine", "llama", "--model", "qwen2.5-coder-0.5b", cwd=tmp_path)
    assert result.returncode == 3
    assert "qsum models pull" in result.stderr
    assert "Traceback" not in result.stderr


async def test_an_engine_that_is_killed_whenever_it_loads_is_given_up(
    engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: set[int] = set()

    async def health(record: EngineRecord) -> dict[str, str]:
        killed.add(record.pid)
        record.kill()
        return {"state": "loading"}

    monkeypatch.setattr(commands, "_health", health)
    place = EnginePlace(NAME)
    with pytest.raises(EngineUnavailable, match="ended 3 times while it loaded") as caught:
        await commands._start(Launcher(place, command(NAME, load_seconds=600)))
    assert len(killed) == 3
    assert str(place.log) in str(caught.value)


def test_engines_without_a_process_are_refused(engines: Engines, tmp_path: Path) -> None:
    result = qsum("start", "--engine", "extractive", cwd=tmp_path)
    assert result.returncode == 3
    assert "nothing is shared" in result.stderr


def test_the_same_engine_wherever_its_clients_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF")
    identity = EngineIdentity(name="llama", model="m", fingerprint="1", context_tokens=4096)
    places = set()
    for folder, name in ((tmp_path, "m.gguf"), (tmp_path / "sub", "../m.gguf"), (Path("/"), str(model))):
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        settings = shared_settings(Settings(engine="llama", model=name, max_chars=folder != tmp_path or None))
        place = EnginePlace.of(settings, identity)
        places.add((place, *engine_command(settings, place)))
    assert len(places) == 1
    other = EnginePlace.of(shared_settings(Settings(engine="llama", device="cpu")), identity)
    assert other not in {place for place, *_ in places}
    assert os.path.isabs(json.loads(next(iter(places))[-1])["model"])


async def test_a_client_finds_the_engine_it_starts_after_an_upgrade(
    engines: Engines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"no model")
    monkeypatch.setattr(place_module, "__version__", "0.0.0")  # what this program knows of itself
    engine = create_engine(Settings(engine="llama", model=str(model)))
    model.write_bytes(b"another one")
    with pytest.raises(
        EngineUnavailable, match=r"m\.gguf"
    ):  # what the process says, which it left at our place
        await engine.generate(
            GenerationRequest(messages=(Message("user", "x"),), source="x", max_new_tokens=4)
        )
    await engine.aclose()


def test_a_port_that_is_taken_is_one_message(engines: Engines, tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"no model")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = qsum("run", "--engine", "llama", "--model", str(model), "--tcp", "--port", port)
    assert result.returncode == 3
    assert f"qsum: The port {port} of 127.0.0.1 cannot be used" in result.stderr
