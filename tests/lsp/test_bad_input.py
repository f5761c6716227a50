"""Whatever comes in and whatever the engine does: each request is answered, and the server goes on."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lsp.raw_client import AnswerError, Buffer, RawClient, server
from tests.scripted_server import ScriptedServer

INVALID_PARAMS, METHOD_NOT_FOUND, NOT_INITIALIZED, INVALID_REQUEST = -32602, -32601, -32002, -32600
TEXT = "# Title\n\n" + "The words of this section say one thing after the other, clearly and at length. " * 3
POSITION = {"line": 0, "character": 0}


async def error_of(client: RawClient, method: str, params: Any) -> int:
    with pytest.raises(AnswerError) as error:
        await client.ask(method, params)
    return error.value.code


async def test_malformed_requests_are_refused_and_the_server_goes_on(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "file:///a.md", TEXT)
        for method, params in (
            ("textDocument/hover", None),
            ("textDocument/hover", {}),
            ("textDocument/hover", []),
            ("textDocument/hover", {"textDocument": {"uri": buffer.uri}, "position": {"line": "x"}}),
            ("textDocument/codeAction", {"textDocument": buffer.id}),
            ("codeLens/resolve", {"data": 3}),
            ("codeAction/resolve", {}),
            ("qsum/outline", None),
            ("qsum/outline", {"textDocument": 4}),
            ("workspace/executeCommand", {"command": "qsum.summarizeSection", "arguments": [buffer.uri]}),
            ("workspace/executeCommand", {"command": "qsum.summarizeSection", "arguments": [buffer.uri, -1]}),
            ("workspace/executeCommand", {"command": "qsum.summarizeSection", "arguments": [1, "a"]}),
            ("workspace/executeCommand", {"command": "qsum.updateFrontMatter"}),
        ):
            assert await error_of(client, method, params) == INVALID_PARAMS, (method, params)
        assert await error_of(client, "qsum/unknown", {}) == METHOD_NOT_FOUND
        unknown_command = {"command": "qsum.unknown", "arguments": []}
        assert await error_of(client, "workspace/executeCommand", unknown_command) == METHOD_NOT_FOUND
        assert (
            await error_of(client, "initialize", {"capabilities": {}, "processId": None}) == INVALID_REQUEST
        )
        for body in (b"not json", b"[]", b"3", b"null", b'"x"', b"{}", b'{"jsonrpc":"1.0","id":1,"method":"x"}',
                     b'{"jsonrpc":"2.0","id":{},"method":"textDocument/hover"}',
                     b'{"jsonrpc":"2.0","method":4}', b'{"jsonrpc":"2.0","id":"late","result":1}',
                     b'{"jsonrpc":"2.0","id":"late","error":{"code":1,"message":""}}', b"\xff\xfe"):  # fmt: skip
            client.send_bytes(body)
        for method, params in (
            ("textDocument/didChange", {"textDocument": {"uri": "file:///none.md", "version": 2}}),
            ("textDocument/didChange", {"textDocument": {"uri": "file:///none.md", "version": 2},
                                        "contentChanges": [{"text": "x"}]}),
            ("textDocument/didClose", {"textDocument": {"uri": "file:///none.md"}}),
            ("textDocument/didOpen", None),
            ("$/cancelRequest", {"id": 999_999}),
            ("$/cancelRequest", None),
            ("window/workDoneProgress/cancel", {"token": "none"}),
            ("workspace/didChangeConfiguration", {"settings": ["wrong"]}),
        ):  # fmt: skip
            client.notify(method, params)
        assert "scripted, grounded" in await buffer.hover(0)


async def test_requests_before_the_start_are_refused(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qsum_lsp", "lsp", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    client = RawClient(process.stdout, process.stdin)
    params = {"textDocument": {"uri": "file:///a.md"}, "position": POSITION}
    assert await error_of(client, "textDocument/hover", params) == NOT_INITIALIZED
    client.notify("exit", None)
    assert await asyncio.wait_for(process.wait(), 20) == 1  # the exit code of an exit without a shutdown


async def test_unknown_documents_and_positions_past_the_end(tmp_path: Path, engine: ScriptedServer) -> None:
    async with server(tmp_path, engine.settings()) as client:
        for uri in (
            "file:///none.md",
            "untitled:x",
            "nonsense",
            "file:///%00.md",
            "file://host/share.md",
            "",
        ):
            document = {"uri": uri}
            hover = {"textDocument": document, "position": POSITION}
            assert await client.ask("textDocument/hover", hover) is None
            assert await client.ask("textDocument/codeLens", {"textDocument": document}) == []
            assert await client.ask("qsum/outline", {"textDocument": document}) is None
            for name in ("summarizeDocument", "updateFrontMatter", "refreshSummaries"):
                assert (await client.command(f"qsum.{name}", uri))["message"]
            assert (await client.command("qsum.insertSummary", uri, 0))["message"]
        buffer = Buffer(client, "file:///a.md", TEXT)
        for line, character in ((0, 10**6), (10**6, 0), (10**9, 10**9)):
            position = {"line": line, "character": character}
            answer = await client.ask("textDocument/hover", {"textDocument": buffer.id, "position": position})
            assert (answer is not None) == (line == 0)
        other = Buffer(client, "file:///a.txt", TEXT, language="plaintext")
        assert await other.hover(0) == ""
        untitled = Buffer(client, "untitled:Untitled-1", TEXT)
        assert "scripted, grounded" in await untitled.hover(0)


async def test_wrong_settings_are_named_once_and_left_out(tmp_path: Path, engine: ScriptedServer) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / ".qsum.toml").write_text('min_words = "many"\nhover_wait_ms = 15000\n')
    wrong = engine.settings(min_words=[1], max_chars="long", nonsense=True)
    del wrong["hover_wait_ms"]
    async with server(tmp_path / "home", wrong, folders=[pages]) as client:
        buffer = Buffer(client, (pages / "a.md").as_uri(), TEXT)
        assert "scripted, grounded" in await buffer.hover(0)
        await buffer.hover(0)
        messages = [params["message"] for params in client.of("window/showMessage")]
        for wrong_one in ("(qsum): max_chars =", "(qsum): min_words =", "unknown setting 'nonsense'"):
            assert sum(wrong_one in message for message in messages) == 1, messages
        assert sum(".qsum.toml" in message and "min_words" in message for message in messages) == 1
        (pages / ".qsum.toml").write_text("min_words = 1000\n")
        client.notify("workspace/didChangeWatchedFiles", {"changes": []})
        assert "own words" in await Buffer(client, (pages / "b.md").as_uri(), "# B\n\nA few words.\n").hover(
            0
        )
        assert len(client.of("window/showMessage")) == len(messages)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ({"status": 400}, "engine failed"),
        ({"status": 401}, "No summary"),
        ({"answer": "<a href='command:x'>[click](command:evil)</a> ![i](http://x) http://evil.example "}, ""),
        ({"answer": "\x00\x1b[31m" + "garbage " * 500}, ""),
    ],
)
async def test_an_engine_that_refuses_or_talks_garbage(
    tmp_path: Path, engine: ScriptedServer, script: dict[str, Any], expected: str
) -> None:
    engine.change(**script)
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "file:///a.md", TEXT)
        shown = await buffer.hover(0)
        assert shown.startswith("**Title**")
        assert expected in shown
        for active in ("](", "<a", "http://e", "\x1b", "\x00"):
            assert active not in shown
        assert (await buffer.lens_titles())[0]
        engine.change(status=200, answer="")
        buffer.change(TEXT.replace("one thing", "another thing"))
        assert "scripted, grounded" in await buffer.hover(0)


async def test_an_engine_that_hangs_and_one_that_is_gone(tmp_path: Path) -> None:
    with ScriptedServer(seconds_per_word=1000) as engine:
        async with server(tmp_path / "a", engine.settings(hover_wait_ms=100)) as client:
            buffer = Buffer(client, "file:///a.md", TEXT)
            assert "Summarising" in await buffer.hover(0)
            assert (await client.command("qsum.status"))["state"] == "busy"
            assert await buffer.lens_titles() == ["Summarizing…"]
    async with server(tmp_path / "b", engine.settings(), statusNotifications=True) as client:
        buffer = Buffer(client, "file:///a.md", TEXT)
        assert "No summary" in await buffer.hover(0)
        answer = await client.command("qsum.summarizeDocument", buffer.uri)
        assert answer["message"]
        await client.until(
            lambda: [s for s in client.of("qsum/status") if s["state"] == "error" and s["message"]]
        )
        assert await buffer.lens_titles() == ["Summarize"]


async def test_an_edit_is_refused_where_the_buffer_changed_meanwhile(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    engine.change(seconds_per_word=0.1)
    async with server(tmp_path, engine.settings()) as client:
        buffer = Buffer(client, "file:///a.md", TEXT)
        command = client.start(
            "workspace/executeCommand", {"command": "qsum.insertSummary", "arguments": [buffer.uri, 0]}
        )
        await client.until(lambda: engine.script()["running"])
        buffer.change(buffer.text + "\nMore.\n")
        answer = await asyncio.wait_for(command, 20)
        assert answer["applied"] is False
        assert answer["message"]
        assert client.of("workspace/applyEdit") == []


async def test_what_the_client_does_wrong_leaves_no_traceback_in_the_log(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    async with server(tmp_path, engine.settings()) as client:
        assert await error_of(client, "qsum/outline", {"textDocument": 4}) == INVALID_PARAMS
        await client.until(lambda: client.of("window/logMessage"))
        assert all("Traceback" not in params["message"] for params in client.of("window/logMessage"))
    log = (tmp_path / "logs" / "lsp.log").read_text()
    assert "qsum/outline needs" in log
    assert "Traceback" not in log


async def test_a_client_that_vanishes_leaves_one_line_in_the_log(
    tmp_path: Path, engine: ScriptedServer
) -> None:
    engine.change(seconds_per_word=0.05)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qsum_lsp", "lsp",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "QSUM_HOME": str(tmp_path)},
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    client = RawClient(process.stdout, process.stdin)
    options = {"settings": engine.settings(), "summaryNotifications": True}
    capabilities: dict[str, Any] = {"window": {"workDoneProgress": True}}
    await client.ask(
        "initialize", {"processId": None, "capabilities": capabilities, "initializationOptions": options}
    )
    client.notify("initialized", {})
    buffer = Buffer(client, "file:///a.md", TEXT)
    buffer.start_hover(0)
    await client.until(lambda: engine.script()["running"])
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
    log = tmp_path / "logs" / "lsp.log"
    await client.until(lambda: log.exists() and "the client is gone" in log.read_text())
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 30) == 1
    assert "Traceback" not in log.read_text()
    assert log.read_text().count("the client is gone") == 1
