"""What is said of a page's own summary follows the settings and the pages around, also where its text stays."""

import copy
from pathlib import Path
from typing import Any

import pytest

from tests.lsp.pages import PROSE
from tests.lsp.raw_client import CAPABILITIES, Buffer, server
from tests.scripted_server import ScriptedServer

TEXT = f"---\ntitle: Import\n---\n# Import\n\n{PROSE * 2}\n"
SUMMARIZED = TEXT.replace("title: Import\n", "title: Import\ndescription: What an importer is for.\n")
PULLING = copy.deepcopy(CAPABILITIES)
PULLING["workspace"]["diagnostics"] = {"refreshSupport": True}
PULLING["textDocument"]["diagnostic"] = {}


def site(folder: Path) -> Path:
    """A page among others, all without a summary."""
    folder.mkdir()
    for name in ("page", "one", "two", "three"):
        (folder / f"{name}.md").write_text(TEXT)
    return folder / "page.md"


def summarize_neighbours(page: Path) -> None:
    for path in page.parent.glob("*.md"):
        if path != page:
            path.write_text(SUMMARIZED)


def codes(diagnostics: list[dict[str, Any]]) -> list[str]:
    return [each["code"] for each in diagnostics]


async def test_a_key_that_the_settings_change_is_the_one_that_is_written(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    page = site(tmp_path / "site")
    settings_file = page.parent / ".qsum.toml"
    settings_file.write_text('key = "description"\n')
    async with server(tmp_path / "home", engine.settings(), folders=[page.parent]) as client:
        buffer = Buffer(client, page.as_uri(), TEXT)
        await buffer.actions(0)
        settings_file.write_text('key = "summary"\n')
        changes = [{"uri": settings_file.as_uri(), "type": 2}]
        client.notify("workspace/didChangeWatchedFiles", {"changes": changes})
        client.answers["workspace/applyEdit"] = lambda _: {"applied": True}
        assert (await client.command("qsum.updateFrontMatter", buffer.uri))["applied"]
        (change,) = client.of("workspace/applyEdit")[0]["edit"]["documentChanges"]
        assert change["edits"][0]["newText"].startswith("summary:")


async def test_a_save_brings_the_hint_that_the_pages_around_give_rise_to(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    page = site(tmp_path / "site")
    async with server(tmp_path / "home", engine.settings(), folders=[page.parent]) as client:
        buffer = Buffer(client, page.as_uri(), TEXT)
        published = await client.until(lambda: client.of("textDocument/publishDiagnostics"))
        assert published[-1]["diagnostics"] == []
        summarize_neighbours(page)
        before = len(published)
        client.notify("textDocument/didSave", {"textDocument": buffer.id})
        after = await client.until(lambda: client.of("textDocument/publishDiagnostics")[before:])
        assert codes(after[-1]["diagnostics"]) == ["missing-summary"]


@pytest.mark.parametrize("where", ["settings file", "editor"])
async def test_a_page_that_the_settings_exclude_has_no_hint(
    tmp_path: Path, engine: ScriptedServer, where: str
) -> None:
    page = site(tmp_path / "site")
    summarize_neighbours(page)
    (page.parent / "other.md").write_text(TEXT)
    excluded = {"exclude": ["site/page.md"]} if where == "editor" else {}
    if where == "settings file":
        (tmp_path / ".qsum.toml").write_text('exclude = ["site/page.md"]\n')
    async with server(tmp_path / "home", engine.settings(**excluded), folders=[tmp_path]) as client:
        Buffer(client, page.as_uri(), TEXT)
        Buffer(client, (page.parent / "other.md").as_uri(), TEXT)

        def hints() -> dict[str, list[str]]:
            published = client.of("textDocument/publishDiagnostics")
            return {Path(each["uri"]).stem: codes(each["diagnostics"]) for each in published}

        await client.until(lambda: len(hints()) == 2)
        assert hints() == {"page": [], "other": ["missing-summary"]}


@pytest.mark.parametrize("what", ["textDocument/didSave", "workspace/didChangeConfiguration"])
async def test_a_client_that_pulls_hints_is_asked_to_pull_again(
    tmp_path: Path, engine: ScriptedServer, what: str
) -> None:
    page = site(tmp_path / "site")
    async with server(
        tmp_path / "home", engine.settings(), capabilities=PULLING, folders=[page.parent]
    ) as client:
        buffer = Buffer(client, page.as_uri(), TEXT)

        async def pulled() -> list[str]:
            report = await client.ask("textDocument/diagnostic", {"textDocument": buffer.id})
            return codes(report["items"])

        await client.until(lambda: client.of("workspace/diagnostic/refresh"))  # the settings are known
        assert await pulled() == []
        summarize_neighbours(page)
        before = len(client.of("workspace/diagnostic/refresh"))
        client.notify(what, {"textDocument": buffer.id, "settings": None})
        await client.until(lambda: client.of("workspace/diagnostic/refresh")[before:])
        assert await pulled() == ["missing-summary"]
        assert not client.of("textDocument/publishDiagnostics")
