"""A long session of random requests and edits: no error, nothing left running, memory flat.

``QSUM_SESSION_STEPS`` sets the number of steps (10,000 for a release), ``QSUM_SESSION_SEED`` the seed.
"""

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import psutil

from tests.lsp.raw_client import AnswerError, Buffer, RawClient, server
from tests.scripted_server import ScriptedServer

STEPS = int(os.environ.get("QSUM_SESSION_STEPS", "1500"))
SEED = int(os.environ.get("QSUM_SESSION_SEED", "6"))
MOST_GROWTH = 48 * 1024 * 1024  # bytes between the first quarter and the end
CANCELLED = -32800
PARAGRAPH = (
    "The server keeps one engine warm and answers from the cache when the text has not changed since the last time "
    "that somebody asked; otherwise it asks the engine and keeps the answer."
)
PIECES = (
    "# Heading", "## 😀 Sub", "Setext\n---", "```\n# no heading\n", "```", "- item\n  - [x] y", "> quote", "",
    "---\ntitle: x\n---", "+++\n", "| a | b |\n|---|---|", "<div>", "\u2028\f\x85", "[ref]: http://x", "\\", "\r", "\t",
    PARAGRAPH, "\ud800 lone", "a" * 3000, "# " + "*[" * 50,
)  # fmt: skip


class Session:
    def __init__(self, client: RawClient, folder: Path) -> None:
        self.client = client
        self.random = random.Random(SEED)  # noqa: S311
        self.folder = folder
        self.buffers: list[Buffer] = []
        self.waiting: list[tuple[asyncio.Future[Any], int]] = []
        self.cancelled: set[int] = set()
        self.answers = 0

    def text(self) -> str:
        newline = self.random.choice(("\n", "\r\n"))
        return newline.join(self.random.choice(PIECES) for _ in range(self.random.randrange(60)))

    def position(self) -> dict[str, int]:
        return {"line": self.random.randrange(80), "character": self.random.randrange(12)}

    def step(self) -> None:
        choice = self.random.random()
        if not self.buffers or (choice < 0.03 and len(self.buffers) < 6):
            name = f"page{self.random.randrange(20)}.md"
            uri = self.random.choice(((self.folder / name).as_uri(), f"untitled:{name}"))
            if all(buffer.uri != uri for buffer in self.buffers):
                self.buffers.append(
                    Buffer(self.client, uri, self.text(), self.random.choice(("markdown", "mdx")))
                )
            return
        buffer = self.random.choice(self.buffers)
        if choice < 0.05:
            buffer.close()
            self.buffers.remove(buffer)
        elif choice < 0.30:
            self.edit(buffer)
        elif choice < 0.36 and self.waiting:
            _, request = self.random.choice(self.waiting)
            self.cancelled.add(request)
            self.client.notify("$/cancelRequest", {"id": request})
        elif choice < 0.37:
            values = {
                "min_words": self.random.choice((5, 25, "x")),
                "strategy": self.random.choice(("headings", 3)),
            }
            self.client.notify(
                "workspace/didChangeConfiguration", {"settings": {"qsum": {**self.settings, **values}}}
            )
        else:
            self.request(buffer)

    settings: dict[str, Any]

    def edit(self, buffer: Buffer) -> None:
        text = buffer.text
        start = self.random.randrange(len(text) + 1)
        end = min(len(text), start + self.random.choice((0, 0, 1, 5, 200)))
        buffer.change(text[:start] + self.random.choice((*PIECES, "x", "\n\n# New\n\n")) + text[end:])
        if len(buffer.text) > 20_000:
            buffer.change(self.text())

    def request(self, buffer: Buffer) -> None:
        place = {"textDocument": buffer.id, "position": self.position()}
        ends = {"start": place["position"], "end": place["position"]}
        line = place["position"]["line"]
        commands = [
            ("qsum.summarizeSection", [buffer.uri, line]), ("qsum.summarizeDocument", [buffer.uri]),
            ("qsum.updateFrontMatter", [buffer.uri]), ("qsum.insertSummary", [buffer.uri, line]),
            ("qsum.refreshSummaries", [buffer.uri]), ("qsum.status", []), ("qsum.clearCache", []),
        ]  # fmt: skip
        name, arguments = self.random.choices(commands, (3, 1, 1, 1, 1, 1, 0.1))[0]
        methods: list[tuple[str, Any]] = [
            ("textDocument/hover", place),
            ("textDocument/codeLens", {"textDocument": buffer.id}),
            ("codeLens/resolve", {"range": ends, "data": {"uri": buffer.uri, "id": "1.1"}}),
            (
                "textDocument/codeAction",
                {"textDocument": buffer.id, "range": ends, "context": {"diagnostics": []}},
            ),
            ("textDocument/diagnostic", {"textDocument": buffer.id}),
            ("qsum/outline", {"textDocument": buffer.id}),
            ("workspace/executeCommand", {"command": name, "arguments": arguments}),
        ]
        method, params = self.random.choice(methods)
        self.waiting.append((self.client.start(method, params), self.client.last_id))

    async def settle(self, most: int) -> None:
        """Wait until at most ``most`` requests are open; all answers must be results, or cancelled as asked."""
        while len(self.waiting) > most:
            future, request = self.waiting.pop(0)
            try:
                await asyncio.wait_for(future, 60)
            except AnswerError as error:
                if error.code != CANCELLED or request not in self.cancelled:
                    raise
            self.answers += 1


async def test_a_random_session(tmp_path: Path) -> None:
    with ScriptedServer() as engine:
        settings = {"engine": "remote", "url": engine.url, "model": "scripted", "hover_wait_ms": 20}
        async with server(tmp_path / "home", settings) as client:
            process = next(
                child
                for child in psutil.Process().children()
                if "lsp" in child.cmdline() and child.is_running()
            )
            session = Session(client, tmp_path)
            session.settings = settings
            client.answers["workspace/applyEdit"] = lambda _: {"applied": session.random.random() < 0.5}
            early = 0
            for step in range(STEPS):
                session.step()
                await session.settle(12)
                if step % 50 == 0:
                    client.received.clear()
                    await asyncio.sleep(0)
                if step == STEPS // 4:
                    early = process.memory_info().rss
            await session.settle(0)
            for buffer in session.buffers:
                buffer.close()
            async with asyncio.timeout(20):
                while (await client.command("qsum.status"))["work"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            grown = process.memory_info().rss - early
            print(f"{STEPS} steps, {session.answers} answers, {grown / 2**20:+.1f} MiB")  # noqa: T201
            assert grown < MOST_GROWTH
            assert client.orphans == []
            assert engine.script()["running"] == 0
    log = (
        (tmp_path / "home" / "logs" / "lsp.log").read_text("utf-8")
        if (tmp_path / "home" / "logs" / "lsp.log").exists()
        else ""
    )
    assert "Traceback" not in log, log[-3000:]
    assert "one engine warm" not in log
