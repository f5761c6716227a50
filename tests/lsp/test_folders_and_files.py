"""Workspace folders with settings of their own; files that get another name or go."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.lsp.pages import PROSE
from tests.lsp.raw_client import CAPABILITIES, Buffer, RawClient, server
from tests.scripted_server import ScriptedServer

TEXT = f"# Import\n\n{PROSE * 2}\n"
ASKED = {**CAPABILITIES, "workspace": {**CAPABILITIES["workspace"], "configuration": True}}


def remote(engine: ScriptedServer) -> dict[str, Any]:
    return {"engine": "remote", "url": engine.url, "model": "scripted", "hover_wait_ms": 20_000}


async def hover_at(client: RawClient, path: Path) -> str:
    buffer = Buffer(client, path.as_uri(), TEXT)
    shown = await buffer.hover(0)
    buffer.close()
    return shown


async def until_hover_says(client: RawClient, path: Path, wanted: str) -> None:
    """The server takes in what the client answers a moment after the client has sent it."""
    async with asyncio.timeout(20):
        while wanted not in await hover_at(client, path):  # noqa: ASYNC110 — another process
            await asyncio.sleep(0.05)


async def test_each_folder_has_its_own_settings(tmp_path: Path, engine: ScriptedServer) -> None:
    asked_of_editor, by_file, later = (tmp_path / name for name in ("editor", "file", "later"))
    for folder in (asked_of_editor, by_file, later):
        folder.mkdir()
    (by_file / ".qsum.toml").write_text('engine = "extractive"\n')
    answers: dict[str | None, Any] = {
        None: {"hover_wait_ms": 20_000},
        asked_of_editor.as_uri(): remote(engine),
        by_file.as_uri(): {"hover_wait_ms": 20_000},
        later.as_uri(): {"engine": "extractive", "hover_wait_ms": 20_000},
    }
    async with server(
        tmp_path / "home", {}, capabilities=ASKED, folders=[asked_of_editor, by_file]
    ) as client:
        client.answers["workspace/configuration"] = lambda params: [
            answers[item.get("scopeUri")] for item in params["items"]
        ]
        await client.until(lambda: client.of("workspace/configuration"))
        await until_hover_says(client, asked_of_editor / "page.md", "scripted, grounded")
        assert "extractive: a sentence of the text" in await hover_at(client, by_file / "page.md")
        asked = len(client.of("workspace/configuration"))
        event = {
            "added": [{"uri": later.as_uri(), "name": "later"}],
            "removed": [{"uri": asked_of_editor.as_uri(), "name": "editor"}],
        }
        client.notify("workspace/didChangeWorkspaceFolders", {"event": event})
        await client.until(lambda: len(client.of("workspace/configuration")) > asked)
        scopes = [item.get("scopeUri") for item in client.of("workspace/configuration")[-1]["items"]]
        assert scopes == [None, by_file.as_uri(), later.as_uri()]
        await until_hover_says(client, later / "page.md", "extractive: a sentence of the text")


async def test_lenses_are_asked_for_again_once_the_store_can_be_asked(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / ".qsum.toml").write_text("min_words = 20\n")
    async with server(
        tmp_path / "home", remote(engine), folders=[folder], summaryNotifications=True
    ) as client:
        outline = {"textDocument": Buffer(client, "file:///elsewhere.md", TEXT).id}
        await client.ask("qsum/outline", outline)
        await client.until(lambda: client.of("workspace/codeLens/refresh"))
        uri = (folder / "page.md").as_uri()
        Buffer(client, uri, TEXT)
        await client.until(lambda: {"uri": uri} in client.of("qsum/summariesChanged"))


async def test_settings_that_the_user_removed_do_not_stay(tmp_path: Path, engine: ScriptedServer) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    answers: dict[str | None, Any] = {
        None: remote(engine),
        folder.as_uri(): {"engine": "extractive", "hover_wait_ms": 20_000},
    }
    async with server(tmp_path / "home", {}, capabilities=ASKED, folders=[folder]) as client:
        client.answers["workspace/configuration"] = lambda params: [
            answers[item.get("scopeUri")] for item in params["items"]
        ]
        await until_hover_says(client, folder / "page.md", "extractive: a sentence of the text")
        answers[folder.as_uri()] = None
        client.notify("workspace/didChangeConfiguration", {"settings": None})
        await until_hover_says(client, folder / "page.md", "scripted, grounded")


@pytest.mark.parametrize(
    ("language", "uri"),
    [
        ("markdown", "untitled:Untitled-1"),
        ("mdx", "file:///notes"),
        ("quarto", "untitled:a%20b"),
        ("rmarkdown", "vscode-notebook-cell:/x#1"),
    ],
)
async def test_what_the_editor_calls_markdown_is_served_whatever_its_name(
    tmp_path: Path, engine: ScriptedServer, language: str, uri: str
) -> None:
    async with server(tmp_path, remote(engine)) as client:
        buffer = Buffer(client, uri, TEXT, language)
        assert "scripted, grounded" in await buffer.hover(0)
        assert [title[:19] for title in await buffer.lens_titles()] == ["The importer reads "]
        assert "Insert summary below heading" in await buffer.actions(0)
        assert (await client.command("qsum.summarizeDocument", uri))["done"] == 2


async def test_an_open_buffer_wins_over_its_file(tmp_path: Path, engine: ScriptedServer) -> None:
    path = tmp_path / "page.qmd"
    path.write_text(TEXT.replace("broken", "file's"))
    async with server(tmp_path / "home", remote(engine)) as client:
        buffer = Buffer(client, path.as_uri(), TEXT, language="plaintext-of-some-plugin")
        found = await client.command("qsum.summarizeSection", buffer.uri, 0)
        assert found["summary"].startswith("The importer reads")
        assert "file's" not in engine.script()["prompts"][-1]
        buffer.close()
        await client.command("qsum.summarizeSection", buffer.uri, 0)
        assert "file's" in engine.script()["prompts"][-1]


async def test_what_is_known_goes_with_a_renamed_file_and_is_forgotten_with_a_deleted_one(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    old, new = (tmp_path / name for name in ("old.md", "new.md"))
    old.write_text(TEXT)
    async with server(tmp_path / "home", remote(engine)) as client:
        buffer = Buffer(client, old.as_uri(), TEXT)
        assert "The importer reads" in await buffer.hover(0)
        buffer.close()
        old.rename(new)
        files = [{"oldUri": old.as_uri(), "newUri": new.as_uri()}]
        client.notify("workspace/didRenameFiles", {"files": files})
        changed = TEXT.replace("broken", "damaged")
        renamed = Buffer(client, new.as_uri(), changed)
        (title,) = await renamed.lens_titles()
        assert title.startswith("Outdated: The importer reads")
        again = Buffer(client, old.as_uri(), changed)  # another file by now
        assert await again.lens_titles() == ["Summarize"]
        renamed.close()
        new.unlink()
        client.notify("workspace/didDeleteFiles", {"files": [{"uri": new.as_uri()}]})
        recreated = Buffer(client, new.as_uri(), changed)
        assert await recreated.lens_titles() == ["Summarize"]
