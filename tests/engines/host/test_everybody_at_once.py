"""Two editors, a commit and a terminal of one user at the same time, with the real model."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lsprotocol import types
from pygls.lsp.client import LanguageClient

from qsum_lsp.engines.host.connection import Connection
from qsum_lsp.engines.host.place import EnginePlace
from tests.engines.host.engines import Engines

pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[3]
TEXT = """# Retries of the {name}

The {name} sends a request again when the server answers with status 503 or not at all. It waits two seconds before the
first repetition, twice as long before each further one, and gives up after five attempts.
"""


@pytest.fixture
async def editors(
    real_model_path: Path, engines: Engines, tmp_path: Path
) -> AsyncIterator[list[LanguageClient]]:
    """Two editors with a language server each, in a folder with the settings for the real model."""
    (tmp_path / ".qsum.toml").write_text(f'engine = "llama"\nmodel = "{real_model_path}"\nidle_minutes = 5\n')
    started = []
    for number in range(2):
        client = LanguageClient(f"editor-{number}", "1")
        await client.start_io(sys.executable, "-m", "qsum_lsp", "lsp", cwd=tmp_path)
        started.append(client)
    yield started
    for client in started:
        await client.shutdown_async(None)
        client.exit(None)
        await client.stop()


async def edit(client: LanguageClient, page: Path, text: str) -> str:
    """Open ``page`` in an editor, have its section summarised, and read the hover over its heading."""
    await client.initialize_async(
        types.InitializeParams(
            capabilities=types.ClientCapabilities(), root_uri=page.parent.as_uri(), process_id=os.getpid()
        )
    )
    client.initialized(types.InitializedParams())
    client.text_document_did_open(
        types.DidOpenTextDocumentParams(types.TextDocumentItem(page.as_uri(), "markdown", 1, text))
    )
    await client.workspace_execute_command_async(
        types.ExecuteCommandParams("qsum.summarizeSection", [page.as_uri(), 0])
    )
    hover = await client.text_document_hover_async(
        types.HoverParams(types.TextDocumentIdentifier(page.as_uri()), types.Position(0, 4))
    )
    assert hover is not None
    assert isinstance(hover.contents, types.MarkupContent)
    return hover.contents.value


async def process(*arguments: str, cwd: Path) -> tuple[int, str]:
    """A process's exit code and output."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "hooks")])
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path},
    )
    output, _ = await started.communicate()
    assert started.returncode is not None
    return started.returncode, output.decode()


async def test_one_engine_and_one_load_for_everybody(
    editors: list[LanguageClient], engines: Engines, tmp_path: Path
) -> None:
    names = ("first editor", "second editor", "hook", "terminal")
    pages = {name: tmp_path / f"{name}.md" for name in names}
    for name in ("hook", "terminal"):
        pages[name].write_text(TEXT.format(name=name))
    *shown, hook, terminal = await asyncio.gather(
        edit(editors[0], pages["first editor"], TEXT.format(name="first editor")),
        edit(editors[1], pages["second editor"], TEXT.format(name="second editor")),
        process("qsum_hooks.summaries", str(pages["hook"]), cwd=tmp_path),
        process("qsum_lsp", "summarize", "--json", str(pages["terminal"]), cwd=tmp_path),
    )

    assert not any("No summary" in text for text in shown), shown
    assert all("retr" in text.lower() or "again" in text for text in shown), shown
    assert hook[0] == 1
    assert "missing -> updated" in hook[1]
    assert terminal[0] == 0
    answered = json.loads(terminal[1])
    assert [section["source"] for section in answered["sections"]] == ["model"]

    (place,) = EnginePlace.all()
    record = place.read()
    assert record is not None
    connection = Connection(record)
    health = await connection.health()
    await connection.aclose()
    assert (health["state"], health["clients"]) == ("ready", len(names))
    log = (tmp_path / "home" / "logs" / "qsum.log").read_text()
    assert log.count(" loaded ") == 1
    modules = [line[line.index("-m") + 1] for line in engines.command_lines() if "-m" in line]
    assert modules.count("qsum_lsp.engines.llama.worker") == 1
