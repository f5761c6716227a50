"""What is asked of the engine first, and what the client hears meanwhile."""

import copy
from pathlib import Path
from typing import Any

from tests.lsp.pages import page
from tests.lsp.raw_client import CAPABILITIES, Buffer, RawClient, server
from tests.scripted_server import ScriptedServer

NO_PROGRESS = copy.deepcopy(CAPABILITIES)
del NO_PROGRESS["window"]


def asked_for(engine: ScriptedServer) -> list[int]:
    """The sections in the order in which the engine was asked for them."""
    found = []
    for prompt in engine.script()["prompts"]:
        parts = [line for line in prompt.splitlines() if line.startswith("Part ")]
        found += [int(parts[0].removeprefix("Part ").split(":")[0])] if len(parts) == 1 else []
    return found


def summarize(client: RawClient, buffer: Buffer, **more: Any) -> Any:
    params = {"command": "qsum.summarizeDocument", "arguments": [buffer.uri], **more}
    return client.start("workspace/executeCommand", params)


async def test_a_hover_goes_before_the_rest_of_a_document(tmp_path: Path, engine: ScriptedServer) -> None:
    engine.change(seconds_per_word=0.1)
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "file:///a.md", page(60))
        document = summarize(client, buffer)
        await client.until(lambda: engine.script()["running"] >= 8)
        hover = buffer.start_hover(4 * 50)
        before = len(asked_for(engine))
        await client.until(lambda: 50 in asked_for(engine))
        assert asked_for(engine).index(50) <= before + 1
        assert not document.done()
        assert "scripted, grounded" in (await hover)["contents"]["value"]
        buffer.close()
        await document


async def test_what_is_in_view_goes_before_the_rest_of_a_document(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    engine.change(seconds_per_word=0.05)
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "file:///a.md", page(60))
        lenses = await client.ask("textDocument/codeLens", {"textDocument": buffer.id})
        for lens in lenses[40:50]:
            await client.ask("codeLens/resolve", lens)
        document = summarize(client, buffer)
        await client.until(lambda: set(range(40, 50)) <= set(asked_for(engine)))
        order = asked_for(engine)
        last_in_view = max(order.index(section) for section in range(40, 50))
        assert last_in_view < 10 + 8  # eight requests were on their way when what is in view came
        buffer.close()
        await document


async def test_the_same_section_is_made_once_for_all_who_ask(tmp_path: Path, engine: ScriptedServer) -> None:
    engine.change(seconds_per_word=0.05)
    async with server(tmp_path, engine.settings()) as client:
        buffers = [Buffer(client, f"file:///{name}.md", page(3)) for name in "ab"]
        hovers = [buffer.start_hover(0) for buffer in buffers for _ in range(5)]
        document = summarize(client, buffers[0])
        for hover in hovers:
            assert "scripted, grounded" in (await hover)["contents"]["value"]
        assert (await document)["done"] == 4
        assert sorted(asked_for(engine)) == [0, 1, 2]


async def test_lenses_are_refreshed_when_summaries_arrive_but_in_no_storm(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "file:///a.md", page(300))
        assert (await summarize(client, buffer))["done"] == 301
        await client.until(lambda: client.of("workspace/codeLens/refresh"))
        assert (await buffer.lens_titles())[299].startswith("Part 299: word0")
        assert len(client.of("workspace/codeLens/refresh")) < 60


async def test_a_sections_text_streams_into_its_progress(tmp_path: Path, engine: ScriptedServer) -> None:
    answer = "Part 0 says that word0 is said here and means something of its own."
    engine.change(seconds_per_word=0.15, answer=answer)
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "file:///a.md", page(2))
        found = await client.command("qsum.summarizeSection", buffer.uri, 0)
        assert found["summary"] == answer
        values = [params["value"] for params in client.of("$/progress")]
        assert (values[0]["kind"], values[-1]["kind"]) == ("begin", "end")
        texts = [value["message"] for value in values if value["kind"] == "report"]
        assert len(texts) >= 3
        assert all(answer.startswith(text) for text in texts)
        assert sorted(texts, key=len) == texts


async def test_progress_goes_to_those_alone_who_take_it(tmp_path: Path, engine: ScriptedServer) -> None:
    async with server(tmp_path, engine.settings(), capabilities=NO_PROGRESS) as client:
        buffer = Buffer(client, "file:///a.md", page(10))
        assert (await summarize(client, buffer))["done"] == 11
        assert not client.of("$/progress")
        assert not client.of("window/workDoneProgress/create")
        buffer.change(page(12))
        assert (await summarize(client, buffer, workDoneToken="mine"))["done"] == 13
        assert {params["token"] for params in client.of("$/progress")} == {"mine"}


async def test_status_tells_what_there_is_to_know(tmp_path: Path, engine: ScriptedServer) -> None:
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "file:///a.md", page(2))
        for _ in range(2):
            await buffer.hover(0)
        status = await client.command("qsum.status")
        assert (status["engine"], status["model"], status["state"]) == ("remote", "scripted", "idle")
        assert status["device"] == f"127.0.0.1:{engine.port}"
        assert (status["running"], status["waiting"], status["work"], status["documents"]) == (0, 0, 0, 1)
        assert status["cache"]["hits"] >= 1
        assert status["cache"]["misses"] >= 1
        assert status["latencies"]["hover"]["count"] == 2
        assert status["latencies"]["hover"]["p99Ms"] >= status["latencies"]["hover"]["p50Ms"] > 0
        assert status["logFile"] == str(tmp_path / "logs" / "lsp.log")
