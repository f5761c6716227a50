"""TCP and WebSocket, beside the standard streams that all other tests use."""

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from tests.lsp.raw_client import Buffer, RawClient

INITIALIZE = {
    "processId": None,
    "rootUri": None,
    "capabilities": {},
    "initializationOptions": {"settings": {"engine": "extractive", "hover_wait_ms": 20_000}},
}
TEXT = "# Title\n\n" + "The words of this section say one thing after the other, clearly and at length. " * 3


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def started(home: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "qsum_lsp", "lsp", *options],
        env={**os.environ, "QSUM_HOME": str(home), "QSUM_OFFLINE": "1"},
    )


async def reachable(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(30):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port, limit=2**26)
            except OSError:
                await asyncio.sleep(0.1)


async def begin(client: RawClient) -> None:
    await client.ask("initialize", INITIALIZE)
    client.notify("initialized", {})


async def exit_code(client: RawClient, process: subprocess.Popen[bytes]) -> int:
    await client.ask("shutdown", None)
    client.notify("exit", None)
    return process.wait(20)


async def test_tcp(tmp_path: Path) -> None:
    port = free_port()
    process = started(tmp_path, "--tcp", "--port", str(port))
    reader, writer = await reachable(port)
    client = RawClient(reader, writer)
    await begin(client)
    assert "extractive" in await Buffer(client, "file:///a.md", TEXT).hover(0)
    assert await exit_code(client, process) == 0


async def test_websocket(tmp_path: Path) -> None:
    port = free_port()
    process = started(tmp_path, "--ws", "--port", str(port))
    async with asyncio.timeout(30):
        while True:
            try:
                socket = await connect(f"ws://127.0.0.1:{port}")
                break
            except OSError:
                await asyncio.sleep(0.1)

        async def ask(number: int, method: str, params: object) -> object:
            request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            await socket.send(json.dumps(request))
            while True:
                message = json.loads(await socket.recv())
                if message.get("id") == number and "method" not in message:
                    return message["result"]

        await ask(1, "initialize", INITIALIZE)
        item = {"uri": "file:///a.md", "languageId": "markdown", "version": 1, "text": TEXT}
        notification = {"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": item}}
        await socket.send(json.dumps(notification))
        hover = {"textDocument": {"uri": "file:///a.md"}, "position": {"line": 0, "character": 0}}
        assert "extractive" in str(await ask(2, "textDocument/hover", hover))
        await ask(3, "shutdown", None)
        await socket.send(json.dumps({"jsonrpc": "2.0", "method": "exit"}))
    assert process.wait(20) == 0


async def test_a_second_tcp_connection_is_refused_and_leaves_the_first_alone(tmp_path: Path) -> None:
    port = free_port()
    process = started(tmp_path, "--tcp", "--port", str(port))
    client = RawClient(*await reachable(port))
    await begin(client)
    buffer = Buffer(client, "file:///a.md", TEXT)
    assert "extractive" in await buffer.hover(0)
    reader, second = await reachable(port)
    assert await asyncio.wait_for(reader.read(), 20) == b""
    second.close()
    await client.until(
        lambda: [each for each in client.of("window/logMessage") if "second connection" in each["message"]]
    )
    assert "extractive" in await buffer.hover(0)
    assert await exit_code(client, process) == 0


async def test_a_tcp_client_that_leaves_in_the_middle_of_a_message_ends_the_server(tmp_path: Path) -> None:
    port = free_port()
    process = started(tmp_path, "--tcp", "--port", str(port))
    _, writer = await reachable(port)
    writer.write(b"Content-Length: 100\r\n\r\n{")
    writer.close()
    await writer.wait_closed()
    assert process.wait(20) == 1


async def test_a_request_of_a_web_page_is_no_message(tmp_path: Path) -> None:
    port = free_port()
    process = started(tmp_path, "--tcp", "--port", str(port))
    reader, writer = await reachable(port)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE}).encode()
    writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionResetError):  # closed with the rest of the request unread
            assert await reader.read() == b""
    client = RawClient(*await reachable(port))  # the server still waits for its client
    await begin(client)
    assert "extractive" in await Buffer(client, "file:///a.md", TEXT).hover(0)
    assert await exit_code(client, process) == 0


async def test_a_second_websocket_and_those_of_web_pages_are_refused(tmp_path: Path) -> None:
    port = free_port()
    process = started(tmp_path, "--ws", "--port", str(port))
    url = f"ws://127.0.0.1:{port}"
    _, writer = await reachable(port)
    writer.close()
    for origin in ("https://evil.example", "http://127.0.0.1.evil.example", "null", "vscode-webview://x"):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, origin=Origin(origin))
        assert refused.value.response.status_code == 403
    initialize = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE})
    async with asyncio.timeout(60), connect(url, origin=Origin("http://localhost:3000")) as first:
        await first.send(initialize)
        assert "capabilities" in str(await first.recv())
        async with connect(url) as second:
            with pytest.raises(ConnectionClosed):
                await second.recv()
        await first.send(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "shutdown"}))
        assert json.loads(await first.recv())["id"] == 2
        await first.send(json.dumps({"jsonrpc": "2.0", "method": "exit"}))
    assert process.wait(20) == 0


@pytest.mark.parametrize("options", [("--tcp", "--ws"), ("--stdio", "--tcp"), ("--port", "x")])
def test_wrong_options(tmp_path: Path, options: tuple[str, ...]) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "qsum_lsp", "lsp", *options],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert process.returncode == 2
    assert re.search(r"--tcp|--port", process.stderr)
