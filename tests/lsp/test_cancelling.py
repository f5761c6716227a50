"""Cancelled requests, cancelled progress, closed documents: nothing goes on that nobody wants."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest

from tests.lsp.pages import page
from tests.lsp.raw_client import AnswerError, Buffer, RawClient, server
from tests.scripted_server import ScriptedServer

CANCELLED = -32800
SLOW = {"seconds_per_word": 0.2}


def settings(engine: ScriptedServer, **more: Any) -> dict[str, Any]:
    return engine.settings(**{"hover_wait_ms": 30_000} | more)


@contextlib.asynccontextmanager
async def hovering(
    tmp_path: Path, engine: ScriptedServer, sections: int = 1
) -> AsyncIterator[tuple[RawClient, Buffer, Awaitable[Any]]]:
    """A client, its page and its hover over the first section, whose summary is being made."""
    async with server(tmp_path, settings(engine)) as client:
        buffer = Buffer(client, "file:///a.md", page(sections))
        hover = buffer.start_hover(0)
        await client.until(lambda: engine.script()["running"] == 1)
        yield client, buffer, hover


async def idle(client: RawClient, engine: ScriptedServer) -> None:
    """Until neither the server nor the engine has anything under way."""
    async with asyncio.timeout(20):
        while (await client.command("qsum.status"))["work"] or engine.script()["running"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_cancelled_hover_is_answered_at_once_and_stops_the_engine(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    engine.change(**SLOW)
    async with hovering(tmp_path, engine, sections=3) as (client, _, hover):
        started = time.perf_counter()
        client.notify("$/cancelRequest", {"id": client.last_id})
        with pytest.raises(AnswerError) as error:
            await hover
        print(f"answered {(time.perf_counter() - started) * 1000:.1f} ms after the cancel")  # noqa: T201
        assert error.value.code == CANCELLED
        await client.until(lambda: engine.script()["given_up"] == 1)
        print(f"engine stopped {(time.perf_counter() - started) * 1000:.1f} ms after the cancel")  # noqa: T201
        assert engine.script()["finished"] == 0
        await idle(client, engine)


async def test_a_cancelled_hover_leaves_the_work_to_another_that_waits(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    engine.change(seconds_per_word=0.05)
    async with server(tmp_path, settings(engine)) as client:
        buffer = Buffer(client, "file:///a.md", page(1))
        first = buffer.start_hover(0)
        first_id = client.last_id
        second = buffer.start_hover(0)
        await client.until(lambda: engine.script()["running"] == 1)
        client.notify("$/cancelRequest", {"id": first_id})
        with pytest.raises(AnswerError):
            await first
        assert "scripted, grounded" in (await second)["contents"]["value"]
        assert engine.script()["requests"] == 1


@pytest.mark.parametrize("end", ["cancelled", "failed"])
async def test_a_summary_that_is_not_made_any_more_is_not_shown_as_under_way(
    tmp_path: Path, engine: ScriptedServer, end: str
) -> None:
    engine.change(seconds_per_word=5, slots=1)
    async with server(tmp_path, settings(engine), summaryNotifications=True) as client:
        buffer = Buffer(client, "file:///a.md", page(2))

        async def running() -> list[bool]:
            outline = await client.ask("qsum/outline", {"textDocument": buffer.id})
            return [section["running"] for section in outline["sections"]]

        first, cancelled = buffer.start_hover(0), client.last_id
        await client.until(lambda: engine.script()["running"] == 1)
        await running()
        await client.until(lambda: client.of("qsum/summariesChanged"))
        assert await running() == [True, False]
        before = len(client.of("qsum/summariesChanged"))
        if end == "cancelled":
            client.notify("$/cancelRequest", {"id": cancelled})
            with pytest.raises(AnswerError):
                await first
        else:
            engine.__exit__()
            assert "No summary" in (await first)["contents"]["value"]
        await client.until(lambda: client.of("qsum/summariesChanged")[before:])
        assert await running() == [False, False]
        assert (await buffer.lens_titles())[0] == "Summarize"


async def test_a_hover_right_after_one_that_was_cancelled_has_the_summary(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    engine.change(seconds_per_word=0.05)
    async with hovering(tmp_path, engine) as (client, buffer, first):
        client.notify(
            "$/cancelRequest", {"id": client.last_id}
        )  # an editor whose pointer moves on in the heading
        second = buffer.start_hover(0)
        with pytest.raises(AnswerError):
            await first
        assert "scripted, grounded" in (await second)["contents"]["value"]


async def test_a_hover_right_after_a_document_is_opened_again_has_the_summary(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    engine.change(seconds_per_word=0.05)
    async with hovering(tmp_path, engine) as (client, buffer, before):
        buffer.close()
        after = Buffer(client, "file:///a.md", page(1)).start_hover(0)
        assert "No summary" in (await before)["contents"]["value"]
        assert "scripted, grounded" in (await after)["contents"]["value"]


async def test_a_thousand_cancelled_hovers_leave_nothing(tmp_path: Path, engine: ScriptedServer) -> None:
    engine.change(seconds_per_word=5)
    async with server(tmp_path, settings(engine)) as client:
        buffer = Buffer(client, "file:///a.md", page(100))
        hovers = [(buffer.start_hover(4 * (index % 100)), client.last_id) for index in range(1000)]
        await client.until(lambda: engine.script()["running"] > 0)
        for _, request in hovers:
            client.notify("$/cancelRequest", {"id": request})
        answers = await asyncio.gather(*[hover for hover, _ in hovers], return_exceptions=True)
        assert {getattr(answer, "code", None) for answer in answers} == {CANCELLED}
        await idle(client, engine)
        engine.change(seconds_per_word=0)
        assert "scripted, grounded" in await buffer.hover(0)


async def test_the_cancel_button_stops_a_document(tmp_path: Path, engine: ScriptedServer) -> None:
    engine.change(seconds_per_word=0.05)
    async with server(tmp_path, settings(engine)) as client:
        buffer = Buffer(client, "file:///a.md", page(200))
        command = client.start(
            "workspace/executeCommand", {"command": "qsum.summarizeDocument", "arguments": [buffer.uri]}
        )
        reports = await client.until(
            lambda: [each for each in client.of("$/progress") if each["value"]["kind"] == "report"]
        )
        assert reports[0]["value"]["message"].split(" ")[0].endswith("/201")
        assert reports[0]["value"]["cancellable"] is True
        client.notify("window/workDoneProgress/cancel", {"token": reports[0]["token"]})
        answer = await asyncio.wait_for(command, 5)
        assert answer["message"]
        await idle(client, engine)
        assert engine.script()["finished"] < 200
        assert client.of("$/progress")[-1]["value"]["kind"] == "end"


async def test_nothing_is_reported_after_the_end_though_another_wants_the_work(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    engine.change(seconds_per_word=0.15)
    async with hovering(tmp_path, engine) as (client, buffer, hover):
        command = client.start(
            "workspace/executeCommand",
            {"command": "qsum.summarizeSection", "arguments": [buffer.uri, 0], "workDoneToken": "mine"},
        )
        await client.until(lambda: "report" in kinds(client, "mine"))
        client.notify("window/workDoneProgress/cancel", {"token": "mine"})
        await command
        assert "scripted, grounded" in (await hover)["contents"]["value"]
        assert kinds(client, "mine")[-1] == "end"


def kinds(client: RawClient, token: str) -> list[str]:
    """Of what the server sent for a progress, in order."""
    return [each["value"]["kind"] for each in client.of("$/progress") if each["token"] == token]


async def test_a_cancelled_command_stops_too(tmp_path: Path, engine: ScriptedServer) -> None:
    engine.change(**SLOW)
    async with server(tmp_path, settings(engine)) as client:
        buffer = Buffer(client, "file:///a.md", page(20))
        command = client.start(
            "workspace/executeCommand", {"command": "qsum.summarizeDocument", "arguments": [buffer.uri]}
        )
        request = client.last_id
        await client.until(lambda: engine.script()["running"])
        client.notify("$/cancelRequest", {"id": request})
        with pytest.raises(AnswerError) as error:
            await command
        assert error.value.code == CANCELLED
        await idle(client, engine)


async def test_closing_a_document_answers_its_requests_and_drops_its_work(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    engine.change(**SLOW)
    async with server(tmp_path, settings(engine)) as client:
        buffer = Buffer(client, "file:///a.md", page(20))
        hover = buffer.start_hover(0)
        command = client.start(
            "workspace/executeCommand", {"command": "qsum.summarizeDocument", "arguments": [buffer.uri]}
        )
        await client.until(lambda: engine.script()["running"] > 5)
        buffer.close()
        assert "No summary" in (await asyncio.wait_for(hover, 5))["contents"]["value"]
        assert (await asyncio.wait_for(command, 5))["message"]
        await idle(client, engine)


@pytest.mark.parametrize(
    ("command", "line"),
    [("summarizeDocument", []), ("summarizeSection", [0]), ("insertSummary", [0]), ("updateFrontMatter", [])],
)
async def test_a_document_that_is_closed_before_there_is_progress_is_not_summarised(
    tmp_path: Path, engine: ScriptedServer, command: str, line: list[int]
) -> None:
    path = tmp_path / "a.md"  # a file is left when the buffer is closed
    path.write_text(page(3))
    async with server(tmp_path / "home", settings(engine)) as client:
        buffer = Buffer(client, path.as_uri(), page(3))
        client.answers["window/workDoneProgress/create"] = lambda _: buffer.close()
        answer = await client.command(f"qsum.{command}", buffer.uri, *line)
        assert answer["message"]
        await idle(client, engine)
        assert engine.script()["requests"] == 0


async def test_a_document_that_is_edited_before_there_is_progress_is_summarised_as_it_is_then(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    async with server(tmp_path, settings(engine)) as client:
        buffer = Buffer(client, "file:///a.md", page(3))
        edited = page(3).replace("Part 1:", "Changed part:")
        client.answers["window/workDoneProgress/create"] = lambda _: buffer.change(edited)
        answer = await client.command("qsum.summarizeDocument", buffer.uri)
        assert (answer["version"], answer["done"]) == (2, 4)
        assert not any("Part 1:" in prompt for prompt in engine.script()["prompts"])


async def test_an_edit_stops_what_it_made_pointless_and_nothing_else(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    engine.change(seconds_per_word=0.15)
    async with server(tmp_path, settings(engine, hover_wait_ms=0)) as client:
        buffer = Buffer(client, "file:///a.md", page(3))
        assert "Summarising" in await buffer.hover(0)
        assert "Summarising" in await buffer.hover(4)
        await client.until(lambda: engine.script()["running"] == 2)
        buffer.change(buffer.text.replace("Part 0:", "Part zero:"))
        await idle(client, engine)
        script = engine.script()
        assert (script["given_up"], script["finished"]) == (1, 1)
        assert "scripted, grounded" in await buffer.hover(4)


async def test_a_document_that_is_edited_while_it_is_summarised_ends_with_the_new_text(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    engine.change(seconds_per_word=0.08)
    async with server(tmp_path, settings(engine)) as client:
        buffer = Buffer(client, "file:///a.md", page(10))
        command = client.start(
            "workspace/executeCommand", {"command": "qsum.summarizeDocument", "arguments": [buffer.uri]}
        )
        await client.until(lambda: engine.script()["running"] >= 4)
        buffer.change(buffer.text.replace("Part 3:", "Changed part three:"))
        answer = await asyncio.wait_for(command, 30)
        assert (answer["version"], answer["done"]) == (2, 11)
        await idle(client, engine)
        asked = [
            prompt for prompt in engine.script()["prompts"] if "Part 5:" in prompt and "Part 6:" not in prompt
        ]
        assert len(asked) == 1  # a section that the edit left alone was asked for once
        outline = await client.ask("qsum/outline", {"textDocument": buffer.id})
        assert {section["state"] for section in outline["sections"]} == {"fresh"}
