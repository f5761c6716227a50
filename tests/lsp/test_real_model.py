"""The server with the real 0.5B model in it."""

import asyncio
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from qsum_lsp.engines.host.connection import Connection
from qsum_lsp.engines.host.place import EnginePlace
from qsum_lsp.engines.protocol import GenerationRequest, Message
from tests.lsp.raw_client import CAPABILITIES, Buffer, server

TEXT = """# Backups

The backup job runs every night at 02:00 and writes a compressed archive to the storage bucket. Archives are kept for
30 days; older ones are deleted by the same job. A failed run is repeated once and then reported by mail to the owner.

## Restore

To restore, stop the service, download the archive of the day you want, unpack it into the data folder and start the
service again. The service checks the index when it starts and rebuilds it where the archive is from an older version.
"""


async def test_hover_document_front_matter_and_cancel(tmp_path: Path, real_model_path: Path) -> None:
    settings = {
        "engine": "llama",
        "model": str(real_model_path),
        "engine_sharing": False,
        "hover_wait_ms": 60_000,
    }
    async with server(tmp_path, settings, capabilities=CAPABILITIES) as client:
        buffer = Buffer(client, "file:///backups.md", TEXT)
        shown = await buffer.hover(5)
        assert shown.startswith("**Restore**")
        assert "fresh" in shown
        assert "cached" in await buffer.hover(5)
        answer = await client.command("qsum.summarizeDocument", buffer.uri)
        assert answer["done"] == 3
        assert answer["summary"]
        outline = await client.ask("qsum/outline", {"textDocument": buffer.id})
        assert [section["state"] for section in outline["sections"]] == ["fresh", "fresh"]
        client.answers["workspace/applyEdit"] = lambda _: {"applied": True}
        assert (await client.command("qsum.updateFrontMatter", buffer.uri))["applied"] is True
        status = await client.command("qsum.status")
        assert status["engine"] == "llama"
        buffer.change(TEXT.replace("every night", "every morning"))
        hover = buffer.start_hover(0)
        await asyncio.sleep(0.2)
        client.notify("$/cancelRequest", {"id": client.last_id})
        await asyncio.wait({hover})
        assert hover.exception() is not None
        async with asyncio.timeout(10):
            while status["running"] or status["waiting"] or status["work"]:
                status = await client.command("qsum.status")


async def test_cancelling_a_hover_frees_the_shared_engine_within_a_step(
    tmp_path: Path, real_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QSUM_HOME", str(tmp_path))
    settings = {"engine": "llama", "model": str(real_model_path), "hover_wait_ms": 100_000}
    async with server(tmp_path, settings, capabilities=CAPABILITIES) as client:
        buffer = Buffer(client, "file:///backups.md", TEXT)
        assert "fresh" in await buffer.hover(5)
        (place,) = EnginePlace.all()
        record = place.read()
        assert record is not None
        connection = Connection(record)

        async def until(condition: Callable[[dict[str, Any]], bool]) -> None:
            async with asyncio.timeout(60):
                while not condition(await connection.health()):
                    pass

        try:
            before = await metrics(connection)
            hover = buffer.start_hover(0)
            await until(lambda health: health["running"] == 1)
            client.notify("$/cancelRequest", {"id": client.last_id})
            await asyncio.wait({hover})
            assert hover.exception() is not None
            await until(lambda health: health["running"] == 0)
            after = await metrics(connection)
            assert after['qsum_requests_total{outcome="given_up"}'] == 1
            for name in ("qsum_new_tokens_total", 'qsum_requests_total{outcome="completed"}'):
                assert after[name] == before[name]  # it did not go on to the end unseen
            assert "fresh" in await buffer.hover(0)  # and its slot serves the next
        finally:
            await connection.aclose()
            record.kill()


async def test_after_a_cancel_the_model_does_hardly_another_step(
    tmp_path: Path, real_model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in processor time of the process that computes, which has nothing else to do."""
    monkeypatch.setenv("QSUM_HOME", str(tmp_path))
    settings = {"engine": "llama", "model": str(real_model_path), "hover_wait_ms": 100_000}
    async with server(tmp_path, settings, capabilities=CAPABILITIES) as client:
        buffer = Buffer(client, "file:///backups.md", TEXT)
        assert "fresh" in await buffer.hover(5)
        (place,) = EnginePlace.all()
        record = place.read()
        assert record is not None
        (worker,) = psutil.Process(record.pid).children()
        connection = Connection(record)

        def used() -> float:
            times = worker.cpu_times()
            return times.user + times.system

        try:
            pieces: list[float] = []
            counting = GenerationRequest(
                messages=(Message("user", "Count from 1 to 60."),), source="", max_new_tokens=60
            )
            model = str((await connection.health())["identity"]["model"])
            await connection.client.chat(
                counting, model=model, extra={}, on_text=lambda _: pieces.append(used())
            )
            step = (pieces[-1] - pieces[0]) / (len(pieces) - 1)
            started = used()
            assert "fresh" in await buffer.hover(0)
            whole = used() - started
            after = []
            for part in (
                0.6,
                0.65,
                0.7,
                0.75,
                0.8,
            ):  # of an answer: the prompt has been read, the text is written
                buffer.change(TEXT.replace("every night", f"every {part * 100:.0f} nights"))
                started = used()
                hover = buffer.start_hover(0)
                while used() - started < part * whole:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
                client.notify("$/cancelRequest", {"id": client.last_id})
                await asyncio.wait({hover})
                answered = used()
                assert hover.exception() is not None
                await asyncio.sleep(0.5)
                after.append((used() - answered) / step)
            print(f"steps' worth after the answer: {[round(one, 1) for one in after]}")  # noqa: T201
            print(f"a whole answer: {whole / step:.0f} steps' worth, one: {step * 1000:.0f} ms")  # noqa: T201
            assert statistics.median(after) < 3
        finally:
            await connection.aclose()
            record.kill()


async def metrics(connection: Connection) -> dict[str, float]:
    """The counters of the engine process."""
    text = (await connection.client._http.get(f"{connection.root}/metrics")).text
    lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in lines}
