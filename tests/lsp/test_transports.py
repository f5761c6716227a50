"""TCP and WebSocket, beside the standard streams that all other tests use."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

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


async def test_tcp(tmp_path: Path) -> None:
    port = free_port()
    process = started(tmp_path, "--tcp", "--port", str(port))
    async with asyncio.timeout(30):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**26)
                break
            except OSError:
                await asyncio.sleep(0.1)
    client = RawClient(reader, writer)
    await client.ask("initialize", INITIALIZE)
    client.notify("initialized", {})
    assert "extractive" in await Buffer(client, "file:///a.md", TEXT).hover(0)
    await client.ask("shutdown", None)
    client.notify("exit", None)
    assert process.wait(20) == 0


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
