"""Which sections have a summary of an earlier text, and what becomes of them."""

from pathlib import Path

import pytest

from tests.lsp.pages import PROSE
from tests.lsp.raw_client import Buffer, server
from tests.scripted_server import ScriptedServer

REFRESH = "Refresh stale summaries"
TITLE = "---\ntitle: Guide\n---\n"


def section(title: str, first_words: str) -> str:
    return f"# {title}\n\n{first_words}: {PROSE * 2}\n\n"


async def states(buffer: Buffer) -> list[tuple[str, str]]:
    """The title and the state of each section."""
    outline = await buffer.client.ask("qsum/outline", {"textDocument": buffer.id})
    return [(each["title"], each["state"]) for each in outline["sections"]]


async def test_sections_of_the_same_title_are_told_apart(tmp_path: Path, engine: ScriptedServer) -> None:
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "file:///a.md", section("Example", "First") + section("Example", "Second"))
        assert "First" in await buffer.hover(0)
        assert (await buffer.lens_titles())[1] == "Summarize"
        assert await states(buffer) == [("Example", "fresh"), ("Example", "missing")]
        await client.command("qsum.summarizeDocument", buffer.uri)
        assert REFRESH not in await buffer.actions(0)
        buffer.change(buffer.text.replace("Second", "Another second"))
        assert await states(buffer) == [("Example", "fresh"), ("Example", "stale")]
        assert (await buffer.lens_titles())[1].startswith("Outdated: Second")
        assert REFRESH in await buffer.actions(0)
        assert (await client.command("qsum.refreshSummaries", buffer.uri))["done"] == 2  # and the page
        assert REFRESH not in await buffer.actions(0)


@pytest.mark.parametrize("change", ["a section put first", "the title", "the settings"])
async def test_what_the_outline_calls_stale_is_refreshed_though_its_text_is_the_same(
    tmp_path: Path, engine: ScriptedServer, change: str
) -> None:
    async with server(tmp_path, engine.settings()) as client:
        text = f"#{section('One', 'First')}#{section('Two', 'Second')}"
        buffer = Buffer(client, "file:///a.md", text)
        await client.command("qsum.summarizeDocument", buffer.uri)
        if change == "the title":
            buffer.change(TITLE + text)
        elif change == "the settings":
            settings = {"settings": {"qsum": engine.settings(strategy="sliding", max_chars=80)}}
            client.notify("workspace/didChangeConfiguration", settings)
        else:
            buffer.change(f"#{section('Zero', 'Inserted')}{text}")
        outline = await client.ask("qsum/outline", {"textDocument": buffer.id})
        stale = [each for each in (outline["page"], *outline["sections"]) if each["state"] == "stale"]
        assert stale
        assert REFRESH in await buffer.actions(0)
        assert (await client.command("qsum.refreshSummaries", buffer.uri))["done"] == len(stale)
        assert "stale" not in {state for _, state in await states(buffer)}
        assert REFRESH not in await buffer.actions(0)


async def test_a_section_inserted_above_while_stale_ones_are_refreshed_leaves_them_the_ones_refreshed(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    async with server(tmp_path, engine.settings()) as client:
        text = TITLE + section("One", "First") + section("Two", "Second") + section("Three", "Third")
        buffer = Buffer(client, "file:///a.md", text)
        await client.command("qsum.summarizeDocument", buffer.uri)
        buffer.change(text.replace("First", "Changed first").replace("Second", "Changed second"))
        engine.change(seconds_per_word=1, prompts=[])
        params = {"command": "qsum.refreshSummaries", "arguments": [buffer.uri]}
        refreshing = client.start("workspace/executeCommand", params)
        await client.until(lambda: engine.script()["running"] == 3)  # the page is the third
        edited = buffer.text.replace("Changed second", "Again changed second")
        buffer.change(edited.replace(TITLE, TITLE + section("Zero", "Inserted")))
        await client.until(lambda: any("Again changed" in each for each in engine.script()["prompts"]))
        engine.change(seconds_per_word=0)
        assert (await refreshing)["done"] == 3
        assert await states(buffer) == [
            ("Zero", "missing"), ("One", "fresh"), ("Two", "fresh"), ("Three", "fresh"),
        ]  # fmt: skip
        assert REFRESH not in await buffer.actions(0)
