"""How long the language server takes to answer, on a 5,000-section page, under typing, idle and while it generates.

``python -m benchmarks.lsp_latency`` starts the server as an editor does, with a scripted engine on the other side of
a socket, prints a table and writes docs/results/lsp-latency.json. It takes about eight minutes; nothing else should run.
Times run from the request until the last byte of its answer has come; they hold both ends of the pipe. The first request after opening, which waits for the
page to be parsed, is a row of its own.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil

from qsum_lsp.document import parse
from qsum_lsp.engines.remote import RemoteEngine
from qsum_lsp.service import summary_options
from qsum_lsp.settings import Settings
from qsum_lsp.store import Store
from qsum_lsp.summaries import Summarizer
from tests.scripted_engine import ScriptedEngine
from tests.scripted_server import ScriptedServer

SECTIONS = 5000
REQUEST_CANCELLED = -32800
TYPING_SECONDS = 0.12  # between keys: eight a second
GENERATING = 64
SECONDS_A_WORD = 0.25
MOST_SECONDS_UNTIL_ALL = 60
GENERATED = 8000  # sections; more than are done meanwhile
AIMS_MS = {
    "start to initialize": 500,
    "hover": 10,
    "code actions": 30,
    "code lenses": 30,
    "change of 200 KB": 30,
    "cancelled hover": 50,
}
"""For the 99th percentile; what is not here has no aim."""
OUT = Path(__file__).parent.parent / "docs" / "results" / "lsp-latency.json"


class Refused(RuntimeError):
    """An error answer, and when its last byte had come."""

    def __init__(self, error: dict[str, Any], came: float) -> None:
        super().__init__(error["message"])
        self.code: int = error["code"]
        self.came = came


class Client:
    """As little of a client as there can be, so that its own time hardly counts."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._next = 0
        self._task = asyncio.create_task(self._read())

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._send({"method": method, "params": params})

    def start(self, method: str, params: Any) -> "asyncio.Future[Any]":
        """Send a request; its id is then ``last_id``."""
        self._next += 1
        self._waiting[self._next] = asyncio.get_running_loop().create_future()
        self._send({"id": self._next, "method": method, "params": params})
        return self._waiting[self._next]

    @property
    def last_id(self) -> int:
        """The id of the latest request."""
        return self._next

    async def ask(self, method: str, params: Any) -> Any:
        """The answer to a request."""
        return (await self.timed(method, params))[0]

    async def timed(self, method: str, params: Any) -> tuple[Any, float]:
        """The answer, and when its last byte had come."""
        answer: tuple[Any, float] = await asyncio.wait_for(self.start(method, params), 600)
        return answer

    def _send(self, message: dict[str, Any]) -> None:
        body = msgspec.json.encode({"jsonrpc": "2.0", **message})
        self._writer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)

    async def _read(self) -> None:
        while header := await self._reader.readline():
            if header.startswith(b"Content-Length:"):
                length = int(header.split(b":")[1])
            elif not header.strip():
                body = await self._reader.readexactly(length)
                came = time.perf_counter()
                message = msgspec.json.decode(body)
                if "method" in message:
                    if "id" in message:
                        self._send({"id": message["id"], "result": None})
                elif (future := self._waiting.pop(message["id"])) and not future.done():
                    if "error" in message:
                        future.set_exception(Refused(message["error"], came))
                    else:
                        future.set_result((message["result"], came))


def page(sections: int, words: int, seed: int = 1) -> str:
    """A page with a heading every few lines; each section says something else."""
    chosen = random.Random(seed)
    syllables = ("ba", "ko", "ri", "mel", "tan", "su", "dor", "ve", "lin", "po", "gra", "sek")
    vocabulary = ["".join(chosen.choices(syllables, k=3)) for _ in range(3000)]
    parts = ["# Reference\n\nWhat every option does.\n"]
    for index in range(1, sections):
        level = "##" if index % 20 == 1 else "###"
        sentences = [" ".join(chosen.choices(vocabulary, k=8)).capitalize() + "." for _ in range(words // 8)]
        parts.append(f"{level} Option {index}\n\n{' '.join(sentences)}\n")
    return "\n".join(parts)


def heading_lines(text: str) -> list[int]:
    """The lines of the third-level headings, which are leaves."""
    return [number for number, line in enumerate(text.split("\n")) if line.startswith("### ")]


class Session:
    """One document under typing."""

    def __init__(self, client: Client, uri: str, text: str) -> None:
        self.client = client
        self.uri = uri
        self.text = text
        self.version = 1
        self.lines = heading_lines(text)[:-1]  # the last section may be cut so short that it needs no summary
        self.random = random.Random(7)
        client.notify(
            "textDocument/didOpen",
            {"textDocument": {"uri": uri, "languageId": "markdown", "version": 1, "text": text}},
        )

    def type_key(self) -> None:
        """One more letter in the middle of the page."""
        place = self.text.index("\n", len(self.text) // 2 + 200)
        self.text = self.text[:place] + "x" + self.text[place:]
        self.version += 1
        self.client.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": self.uri, "version": self.version},
                "contentChanges": [{"text": self.text}],
            },
        )

    async def timed(self, method: str, params: dict[str, Any]) -> tuple[float, Any]:
        """Milliseconds until the answer, and the answer."""
        started = time.perf_counter()
        answer, came = await self.client.timed(method, {"textDocument": {"uri": self.uri}, **params})
        return (came - started) * 1000, answer

    async def hover(self) -> float:
        """A hover on a heading whose summary is known."""
        middle = self.lines[len(self.lines) // 2]
        line = self.random.choice([line for line in self.lines if abs(line - middle) > 100])
        seconds, answer = await self.timed("textDocument/hover", {"position": {"line": line, "character": 4}})
        assert "grounded · cached" in answer["contents"]["value"], answer
        return seconds

    async def code_action(self) -> float:
        """The code actions at a heading."""
        position = {"line": self.random.choice(self.lines), "character": 0}
        params = {"range": {"start": position, "end": position}, "context": {"diagnostics": []}}
        seconds, answer = await self.timed("textDocument/codeAction", params)
        assert len(answer) >= 3, answer
        return seconds

    async def lenses(self) -> float:
        """All lenses of the page, and the titles of the forty in view."""
        seconds, answer = await self.timed("textDocument/codeLens", {})
        started = time.perf_counter()
        await asyncio.gather(*[self.client.ask("codeLens/resolve", lens) for lens in answer[-40:]])
        return max(seconds, (time.perf_counter() - started) * 1000 / 40)

    async def change(self) -> float:
        """A key, until a hover that needs the new text is answered."""
        self.type_key()
        return await self.hover()

    async def cancelled_hover(self) -> float:
        """From the cancelling of a hover that waits for the engine until it is answered."""
        place = {"line": self.lines.pop(), "character": 4}
        hover = self.client.start(
            "textDocument/hover", {"textDocument": {"uri": self.uri}, "position": place}
        )
        await asyncio.sleep(self.random.uniform(0.05, 0.15))
        assert not hover.done(), hover
        started = time.perf_counter()
        self.client.notify("$/cancelRequest", {"id": self.client.last_id})
        try:
            answer = await asyncio.wait_for(hover, 60)
        except Refused as refused:
            if refused.code != REQUEST_CANCELLED:
                raise
            return (refused.came - started) * 1000
        raise AssertionError(answer)


async def under_typing(session: Session, request: Any, count: int) -> list[float]:
    """``count`` requests at odd moments between keys."""
    measured: list[float] = []

    async def type_on() -> None:
        while True:
            session.type_key()
            await asyncio.sleep(TYPING_SECONDS)

    typing = asyncio.create_task(type_on())
    try:
        while len(measured) < count:
            await asyncio.sleep(session.random.uniform(0.02, 0.15))
            measured.append(await request())
    finally:
        typing.cancel()
    return measured


def figures(measured: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum, in milliseconds."""
    ordered = sorted(measured)
    return {
        "count": len(ordered),
        "p50": round(statistics.median(ordered), 2),
        "p99": round(ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))], 2),
        "max": round(ordered[-1], 2),
    }


async def start_server(
    home: str, settings: dict[str, Any]
) -> tuple[Client, asyncio.subprocess.Process, float]:
    """A server, and the milliseconds from its start to its first answer."""
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "qsum_lsp", "lsp", "--stdio",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=2**26,
        env={**os.environ, "QSUM_HOME": home},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    client = Client(process.stdout, process.stdin)
    await client.ask(
        "initialize",
        {
            "processId": None,
            "rootUri": None,
            "capabilities": {
                "general": {"positionEncodings": ["utf-16"]},
                "textDocument": {
                    "hover": {"contentFormat": ["markdown"]},
                    "codeAction": {"codeActionLiteralSupport": {"codeActionKind": {"valueSet": []}}},
                },
            },
            "initializationOptions": {"settings": settings, "summaryNotifications": True},
        },
    )
    milliseconds = (time.perf_counter() - started) * 1000
    client.notify("initialized", {})
    return client, process, milliseconds


async def fill_store(home: str, settings: dict[str, Any], text: str) -> None:
    """Put summaries of all sections into the cache, as the server's engine would have made them."""
    engine = ScriptedEngine()
    engine.identity = RemoteEngine(Settings(**settings)).identity
    store = Store(Path(home, "store", "summaries.sqlite3"))
    await Summarizer(engine, store).summarize(parse(text), summary_options(Settings(**settings)))
    store.close()


async def stop_server(client: Client, process: asyncio.subprocess.Process) -> None:
    """End the session as an editor does."""
    await client.ask("shutdown", None)
    client.notify("exit", None)
    await asyncio.wait_for(process.wait(), 30)


async def all_under_way(engine: ScriptedServer) -> None:
    """Return when as many sections are being generated as there should be; ends the benchmark where that fails."""
    seen: list[int] = []
    async with count_running(engine, seen, every_seconds=0.2):
        for _ in range(MOST_SECONDS_UNTIL_ALL * 5):
            if seen and seen[-1] >= GENERATING:
                return
            await asyncio.sleep(0.2)
    script = await asyncio.to_thread(engine.script)
    sys.exit(
        f"After {MOST_SECONDS_UNTIL_ALL} s there were not {GENERATING} sections being generated at once but at most "
        f"{max(seen)} (last {seen[-1]}); {script['requests']} were asked for and {script['finished']} finished."
    )


@asynccontextmanager
async def count_running(
    engine: ScriptedServer, counts: list[int], *, every_seconds: float
) -> AsyncIterator[None]:
    """Note again and again how many sections are being generated."""

    async def count() -> None:
        while True:
            counts.append((await asyncio.to_thread(engine.script))["running"])
            await asyncio.sleep(every_seconds)

    counting = asyncio.create_task(count())
    try:
        yield
    finally:
        counting.cancel()


async def measured(long: Session, medium: Session, new: Session, count: int) -> dict[str, dict[str, float]]:
    """All requests under one condition; nothing is known of the sections of ``new``."""
    return {
        "hover": figures(await under_typing(long, long.hover, count)),
        "code actions": figures(await under_typing(long, long.code_action, count)),
        "code lenses": figures(await under_typing(long, long.lenses, count)),
        "change of 200 KB": figures([await medium.change() for _ in range(count)]),
        "change of the long page": figures([await long.change() for _ in range(count)]),
        "cancelled hover": figures(await under_typing(long, new.cancelled_hover, count)),
    }


async def measure(count: int, sections: int, starts: int) -> dict[str, Any]:
    """All figures of one run."""
    result: dict[str, Any] = {"sections": sections}
    with (
        tempfile.TemporaryDirectory() as home,
        ScriptedServer(slots=GENERATING, keeps_prompts=False) as engine,
    ):
        settings = {"engine": "remote", "url": engine.url, "model": "scripted"}
        began = []
        for _ in range(starts):
            client, process, milliseconds = await start_server(home, settings)
            await stop_server(client, process)
            began.append(milliseconds)
        result["start"] = {"start to initialize": figures(began)}
        folder = Path(home, "pages").as_uri()
        texts = {"long": page(sections, 32), "medium": page(900, 32)[:200_000]}
        for text in texts.values():
            await fill_store(home, settings, text)
        client, process, _ = await start_server(home, settings)
        long, medium = (Session(client, f"{folder}/{name}.md", text) for name, text in texts.items())
        result["bytes"] = len(long.text.encode())
        result["start"]["first request on the long page"] = figures([await long.hover()])
        await medium.hover()
        new = Session(client, f"{folder}/new.md", page(2 * count + 200, 40, seed=3))
        engine.change(seconds_per_word=SECONDS_A_WORD)
        print("measuring, idle", file=sys.stderr, flush=True)
        result["idle"] = await measured(long, medium, new, count)
        other = Session(client, f"{folder}/other.md", page(GENERATED, 40, seed=2))
        generating = client.start(
            "workspace/executeCommand", {"command": "qsum.summarizeDocument", "arguments": [other.uri]}
        )
        engine.change(seconds_per_word=0.05)  # faster teaches the client faster, if it can keep up
        await all_under_way(engine)
        engine.change(seconds_per_word=SECONDS_A_WORD)
        counts: list[int] = []
        print("measuring, generating", file=sys.stderr, flush=True)
        async with count_running(engine, counts, every_seconds=1):
            result["generating"] = await measured(long, medium, new, count)
        assert not generating.done()
        result["sections being generated"] = {"least": min(counts), "median": statistics.median(counts)}
        client.notify("textDocument/didClose", {"textDocument": {"uri": other.uri}})
        await generating
        await stop_server(client, process)
    return result


def processor() -> str:
    """The processor's name, as far as the system tells."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if sys.platform == "linux" else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def busy_seconds_of_others() -> float:
    """Processor time of all programs but this one and its ended children."""
    machine, own = psutil.cpu_times(), os.times()
    idle = machine.idle + getattr(machine, "iowait", 0.0) + getattr(machine, "guest", 0.0)
    return sum(machine) - idle - (own.user + own.system + own.children_user + own.children_system)


def table(result: dict[str, Any]) -> str:
    """The figures for people, in milliseconds."""
    running = result["sections being generated"]
    machine = result["machine"]
    lines = [
        f"{machine['processor']}, {machine['cpus']} CPUs, {machine['cpus kept busy by others']} of them kept busy by others",
        "{} sections, {:.2f} MB; while generating, at least {} sections were under way (median {:.0f})".format(
            result["sections"], result["bytes"] / 1e6, running["least"], running["median"]
        ),
        "",
        "| condition | request | aim (p99) | p50 | p99 | count |",
        "|---|---|---|---|---|---|",
    ]
    for condition in ("start", "idle", "generating"):
        for name, row in result[condition].items():
            cells = (condition, name, AIMS_MS.get(name, ""), row["p50"], row["p99"], row["count"])
            lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--sections", type=int, default=SECTIONS)
    parser.add_argument("--starts", type=int, default=21)
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    busy, began = busy_seconds_of_others(), time.monotonic()
    result = asyncio.run(measure(chosen.count, chosen.sections, chosen.starts))
    result["machine"] = {
        "system": platform.system(),
        "processor": processor(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "load before": round(load, 2),
        "cpus kept busy by others": round((busy_seconds_of_others() - busy) / (time.monotonic() - began), 2),
    }
    print(table(result))
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
