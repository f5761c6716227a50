"""Edits of documents: one step, for one version, and refused with a message where the buffer changed in between."""

import asyncio
import copy
from pathlib import Path
from typing import Any

import pytest

from tests.lsp.pages import PROSE
from tests.lsp.raw_client import CAPABILITIES, AnswerError, Buffer, RawClient, server
from tests.scripted_server import ScriptedServer

TEXT = f"# Import\n\n{PROSE * 2}\n\n# Export\n\nThe exporter writes what the importer read. {PROSE}\n"
INSERT, UPDATE = "Insert summary below heading", "Update summary in front matter"
CHANGED = "changed meanwhile"
COMMANDS_ALONE = copy.deepcopy(CAPABILITIES)
del COMMANDS_ALONE["textDocument"]["codeAction"]


def messages(client: RawClient) -> list[str]:
    return [params["message"] for params in client.of("window/showMessage")]


def applied(text: str, edit: dict[str, Any]) -> str:
    """``text``, which is ASCII, with an edit of one place."""
    lines = text.splitlines(keepends=True)
    start, end = (
        sum(map(len, lines[: place["line"]])) + place["character"]
        for place in (edit["range"]["start"], edit["range"]["end"])
    )
    return text[:start] + edit["newText"] + text[end:]


def only_edit(workspace_edit: dict[str, Any], version: int) -> dict[str, Any]:
    """The one edit that a workspace edit for that version is made of."""
    (change,) = workspace_edit["documentChanges"]
    assert change["textDocument"]["version"] == version
    (edit,) = change["edits"]
    found: dict[str, Any] = edit
    return found


@pytest.mark.parametrize("title", [INSERT, UPDATE])
async def test_an_action_offered_before_an_edit_is_refused_with_a_message(
    tmp_path: Path, engine: ScriptedServer, title: str
) -> None:
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "file:///a.md", TEXT)
        action = (await buffer.actions(6))[title]
        buffer.change("# New at the top\n\nSome words.\n\n" + TEXT)  # line 6 is in another section now
        resolved = await client.ask("codeAction/resolve", action)
        assert "edit" not in resolved
        assert [message for message in messages(client) if CHANGED in message]
        again = (await buffer.actions(10))[title]
        edit = only_edit((await client.ask("codeAction/resolve", again))["edit"], 2)
        assert "The exporter writes" in edit["newText"] or "summary:" in edit["newText"]


async def test_an_edit_while_an_action_is_resolved_refuses_it_with_a_message(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    engine.change(seconds_per_word=0.1)
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "file:///a.md", TEXT)
        action = (await buffer.actions(4))[INSERT]
        resolving = client.start("codeAction/resolve", action)
        await client.until(lambda: engine.script()["running"])
        buffer.change(TEXT + "\nOne line more, far below.\n")
        assert "edit" not in await asyncio.wait_for(resolving, 20)
        assert [message for message in messages(client) if CHANGED in message]


async def test_a_second_run_replaces_the_summary_that_the_first_wrote(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "untitled:Untitled-1", TEXT)

        async def insert() -> None:
            action = (await buffer.actions(0))[INSERT]
            resolved = await client.ask("codeAction/resolve", action)
            buffer.change(applied(buffer.text, only_edit(resolved["edit"], buffer.version)))

        await insert()
        first = buffer.text
        assert first.count("> **Summary:** ") == 1
        await insert()
        assert buffer.text == first
        engine.change(answer="A broken file can be continued later.")
        buffer.change(buffer.text.replace("reads each record", "looks at every record"))
        await insert()
        lines = buffer.text.splitlines()
        assert lines[:4] == ["# Import", "", "> **Summary:** A broken file can be continued later.", ""]
        assert buffer.text.count("**Summary:**") == 1
        assert len(lines) == len(first.splitlines())


async def test_an_inserted_summary_leaves_all_summaries_as_they_are(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "file:///a.md", f"# Guide\n\n{PROSE}\n\n#{TEXT}")
        await client.command("qsum.summarizeDocument", buffer.uri)
        requests = engine.script()["requests"]
        resolved = await client.ask("codeAction/resolve", (await buffer.actions(4))[INSERT])
        buffer.change(applied(buffer.text, only_edit(resolved["edit"], buffer.version)))
        assert buffer.text.count("> **Summary:** ") == 1
        outline = await client.ask("qsum/outline", {"textDocument": buffer.id})
        assert {section["state"] for section in (outline["page"], *outline["sections"])} == {"fresh"}
        assert "cached" in await buffer.hover(4)
        assert engine.script()["requests"] == requests


async def test_an_edit_of_a_file_that_is_not_open_does_not_count_its_byte_order_mark(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    page = tmp_path / "page.md"
    page.write_text(TEXT, encoding="utf-8-sig")
    async with server(tmp_path / "home", engine.settings()) as client:
        client.answers["workspace/applyEdit"] = lambda _: {"applied": True}
        assert (await client.command("qsum.updateFrontMatter", page.as_uri()))["applied"]
        (change,) = client.of("workspace/applyEdit")[0]["edit"]["documentChanges"]
        assert applied(TEXT, change["edits"][0]).startswith("---\nsummary:")


async def test_a_client_without_code_actions_is_asked_to_apply_and_may_refuse(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    async with server(tmp_path, engine.settings(), capabilities=COMMANDS_ALONE) as client:
        buffer = Buffer(client, "file:///a.md", TEXT)
        command = (await buffer.actions(0))[INSERT]
        assert command["command"] == "qsum.insertSummary"
        client.answers["workspace/applyEdit"] = lambda _: {"applied": True}
        answer = await client.command(command["command"], *command["arguments"])
        assert (answer["applied"], answer["message"]) == (True, "")
        assert only_edit(client.of("workspace/applyEdit")[0]["edit"], 1)["newText"].startswith("\n> **Summ")
        refusal = {"applied": False, "failureReason": "the buffer is read-only"}
        client.answers["workspace/applyEdit"] = lambda _: refusal
        answer = await client.command(command["command"], *command["arguments"])
        assert answer["applied"] is False
        assert any("the buffer is read-only" in message for message in messages(client))

        def refuse(_: Any) -> None:
            raise AnswerError({"code": -32603, "message": "not today"})

        for reply in (refuse, lambda _: None, lambda _: [1]):  # an error, and answers that say nothing
            client.answers["workspace/applyEdit"] = reply
            answer = await client.command(command["command"], *command["arguments"])
            assert answer["applied"] is False
            assert "the editor did not apply the edit" in answer["message"]
        assert any("not today" in message for message in messages(client))
