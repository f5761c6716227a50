"""As little of a client as there can be: any message can be sent, and its own time hardly counts."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 60.0


class AnswerError(Exception):
    """The error that a request was answered with."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]


class RawClient:
    """One connection to a server.

    ``received`` are all notifications and requests of the server; a request is answered by ``answers`` (by method),
    else with null. What raises AnswerError answers with that error.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0
        self.received: list[dict[str, Any]] = []
        self.orphans: list[dict[str, Any]] = []
        self.answers: dict[str, Callable[[Any], Any]] = {}
        self._task = asyncio.create_task(self._read())

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self.send({"method": method, "params": params})

    def start(self, method: str, params: Any) -> "asyncio.Future[Any]":
        """Send a request; its id is then ``last_id``."""
        self._last_id += 1
        self._waiting[self._last_id] = asyncio.get_running_loop().create_future()
        self.send({"id": self._last_id, "method": method, "params": params})
        return self._waiting[self._last_id]

    @property
    def last_id(self) -> int:
        """The id of the latest request."""
        return self._last_id

    async def ask(self, method: str, params: Any) -> Any:
        """The answer to a request. Raises AnswerError."""
        return await asyncio.wait_for(self.start(method, params), ANSWER_SECONDS)

    async def command(self, name: str, *arguments: Any) -> Any:
        """The answer to a command."""
        return await self.ask("workspace/executeCommand", {"command": name, "arguments": list(arguments)})

    def send(self, message: dict[str, Any]) -> None:
        """Send any message at all."""
        self.send_bytes(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def send_bytes(self, body: bytes) -> None:
        """Send any bytes at all."""
        self._writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    def of(self, method: str) -> list[Any]:
        """The params of what the server sent under ``method``."""
        return [message.get("params") for message in self.received if message["method"] == method]

    async def until(self, condition: Callable[[], Any], seconds: float = 20.0) -> Any:
        """What ``condition`` gives once that is true."""
        async with asyncio.timeout(seconds):
            while not (found := condition()):  # noqa: ASYNC110 — it depends on other processes
                await asyncio.sleep(0.01)
        return found

    async def _read(self) -> None:
        length = 0
        while header := await self._reader.readline():
            if header.startswith(b"Content-Length:"):
                length = int(header.split(b":")[1])
            elif not header.strip():
                self._take(json.loads(await self._reader.readexactly(length)))
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionError("the server has ended"))

    def _take(self, message: dict[str, Any]) -> None:
        if "method" in message:
            self.received.append(message)
            if "id" in message:
                answer = self.answers.get(message["method"], lambda _: None)
                try:
                    self.send({"id": message["id"], "result": answer(message.get("params"))})
                except AnswerError as refusal:
                    self.send({"id": message["id"], "error": {"code": refusal.code, "message": str(refusal)}})
            return
        future = self._waiting.pop(message["id"], None)
        if future is None:
            self.orphans.append(message)
        elif not future.done():
            if "error" in message:
                future.set_exception(AnswerError(message["error"]))
            else:
                future.set_result(message["result"])


CAPABILITIES: dict[str, Any] = {
    "general": {"positionEncodings": ["utf-16"]},
    "window": {"workDoneProgress": True},
    "workspace": {
        "applyEdit": True,
        "workspaceEdit": {"documentChanges": True},
        "codeLens": {"refreshSupport": True},
    },
    "textDocument": {
        "hover": {"contentFormat": ["markdown", "plaintext"]},
        "codeAction": {
            "codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}},
            "dataSupport": True,
            "resolveSupport": {"properties": ["edit"]},
        },
    },
}


@contextlib.asynccontextmanager
async def server(
    home: Path,
    settings: dict[str, Any],
    *,
    capabilities: dict[str, Any] | None = None,
    folders: list[Path] | None = None,
    program: tuple[str, ...] = ("-m", "qsum_lsp"),
    environment: dict[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[RawClient]:
    """A server process with its session begun; at the end it must leave by itself with code 0."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *program, "lsp", "--stdio",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**26,
        env={**os.environ, "QSUM_HOME": str(home), "QSUM_OFFLINE": "1", **(environment or {})},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    client = RawClient(process.stdout, process.stdin)
    try:
        await client.ask(
            "initialize",
            {
                "processId": None,
                "rootUri": None,
                "capabilities": CAPABILITIES if capabilities is None else capabilities,
                "workspaceFolders": [
                    {"uri": folder.as_uri(), "name": folder.name} for folder in folders or ()
                ],
                "initializationOptions": {"settings": settings, **options},
            },
        )
        client.notify("initialized", {})
        yield client
        await client.ask("shutdown", None)
        client.notify("exit", None)
        assert await asyncio.wait_for(process.wait(), 20) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Buffer:
    """An open buffer, as an editor has it."""

    def __init__(self, client: RawClient, uri: str, text: str, language: str = "markdown") -> None:
        self.client = client
        self.uri = uri
        self.text = text
        self.version = 1
        item = {"uri": uri, "languageId": language, "version": 1, "text": text}
        client.notify("textDocument/didOpen", {"textDocument": item})

    @property
    def id(self) -> dict[str, str]:
        """What requests call it."""
        return {"uri": self.uri}

    def change(self, text: str) -> None:
        """Give it another text."""
        self.text = text
        self.version += 1
        document = {"uri": self.uri, "version": self.version}
        self.client.notify(
            "textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]}
        )

    def close(self) -> None:
        """Close it."""
        self.client.notify("textDocument/didClose", {"textDocument": self.id})

    def start_hover(self, line: int) -> "asyncio.Future[Any]":
        """Begin a hover."""
        return self.client.start(
            "textDocument/hover", {"textDocument": self.id, "position": {"line": line, "character": 0}}
        )

    async def hover(self, line: int) -> str:
        """The text of a hover; empty where there is none."""
        answer = await asyncio.wait_for(self.start_hover(line), ANSWER_SECONDS)
        return answer["contents"]["value"] if answer else ""

    async def actions(self, line: int, **context: Any) -> dict[str, Any]:
        """The code actions at a line by title."""
        position = {"line": line, "character": 0}
        found = await self.client.ask(
            "textDocument/codeAction",
            {
                "textDocument": self.id,
                "range": {"start": position, "end": position},
                "context": {"diagnostics": [], **context},
            },
        )
        return {action["title"]: action for action in found}

    async def lens_titles(self) -> list[str]:
        """The resolved titles of all lenses."""
        lenses = await self.client.ask("textDocument/codeLens", {"textDocument": self.id})
        resolved = [await self.client.ask("codeLens/resolve", lens) for lens in lenses]
        return [lens["command"]["title"] for lens in resolved]
