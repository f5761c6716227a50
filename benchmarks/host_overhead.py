"""What the shared engine adds to a request: 64 clients, 2,000 sections, an engine that only waits.

    python benchmarks/host_overhead.py [--stream] [--client light|own] [--processes 4] [--clients 64] [--sections 2000]

The engine answers with the time that it itself took. Three figures are printed, each less that time:

- of the engine process: from the call of the application to the last byte given to the socket,
- of the whole way, as the clients see it: both HTTP ends, the socket, and the wait for a processor.

``light`` clients write prepared bytes to the socket and look for the end of the answer, so that nearly all is the
engine process's; ``own`` clients are those that editors, hooks and the terminal use. The clients are spread over
``--processes``; with 1, they share one interpreter, as no real clients do. On two cores nothing else should run.
"""

import argparse
import asyncio
import collections
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from qsum_lsp.engines.host.connection import Connection
from qsum_lsp.engines.host.launcher import Launcher
from qsum_lsp.engines.host.place import EnginePlace, EngineRecord
from qsum_lsp.engines.host.process import EngineProcess
from qsum_lsp.engines.host.shared import SharedEngine
from qsum_lsp.engines.protocol import (
    Completion,
    EngineIdentity,
    EngineStatus,
    GenerationRequest,
    Message,
    OnText,
)

IDENTITY = EngineIdentity(name="waiting", model="waiting", fingerprint="0", context_tokens=4096)
PLACE = EnginePlace("benchmark")
PIECES = 40
TIMES = "times.json"
SECTION = "A section of some hundred words of documentation, as long as they usually are. " * 40
SPREAD_SECONDS = 1.0  # over which the clients begin: editors do not start in step

Ask = Callable[[str], Awaitable[str]]
"""A section's name to the text of its answer."""


class WaitingEngine:
    """Answers after ``seconds`` on average, in 40 pieces, with the source's first word and the time it took."""

    identity = IDENTITY

    def __init__(self, seconds: float, slots: int) -> None:
        self._seconds = seconds
        self._slots = slots
        self.own_seconds: dict[str, float] = {}

    def status(self) -> EngineStatus:
        return EngineStatus(state="ready", slots=self._slots)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        began = time.perf_counter()
        name = request.source.split(maxsplit=1)[0]
        spread = 0.5 + zlib.crc32(name.encode()) / 2**32  # answers differ in length
        for _ in range(PIECES - 1):
            await asyncio.sleep(self._seconds * spread / PIECES)
            if on_text is not None:
                on_text("word ")
        await asyncio.sleep(self._seconds * spread / PIECES)
        took = self.own_seconds[name] = time.perf_counter() - began
        text = f"{name} {took}"
        if on_text is not None:
            on_text(text)
        return Completion(text=text, finish_reason="stop", prompt_tokens=500, new_tokens=PIECES, seconds=took)

    async def aclose(self) -> None:
        pass


class Timed:
    """An ASGI application, and how long each request was in it; a request is known by its number."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.seconds: dict[str, float] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        began = time.perf_counter()
        name = dict(scope.get("headers", ())).get(b"x-section", b"").decode()

        async def sent(event: Any) -> None:
            await send(event)
            if name and event["type"] == "http.response.body" and not event.get("more_body"):
                self.seconds[name] = time.perf_counter() - began

        await self._app(scope, receive, sent)


def section(name: str) -> GenerationRequest:
    source = f"{name} {SECTION}"
    return GenerationRequest(messages=(Message("user", source),), source=source, max_new_tokens=96)


class LightClient(asyncio.Protocol):
    """One connection that sends prepared requests and reads to the end of each answer."""

    def __init__(self, *, stream: bool) -> None:
        self._stream = stream
        self._received = bytearray()
        self._answered: asyncio.Future[str] | None = None

    async def connect(self, record: EngineRecord) -> None:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_unix_connection(
            lambda: self, record.address.removeprefix("unix:")
        )

    def request(self, name: str) -> bytes:
        given = section(name)
        body = json.dumps(
            {
                "model": IDENTITY.model,
                "messages": [{"role": "user", "content": given.source}],
                "source": given.source,
                "stream": self._stream,
            }
        ).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX-Section: {name}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    async def send(self, request: bytes) -> str:
        self._received.clear()
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered

    def data_received(self, data: bytes) -> None:
        self._received += data
        ends = b"data: [DONE]\n\n\r\n0\r\n\r\n" if self._stream else b"}"
        if self._received.endswith(ends) and self._answered is not None and not self._answered.done():
            text = re.findall(rb'"content":"([^"]* [0-9.e-]+)"', self._received)
            self._answered.set_result(text[-1].decode())


async def light_ask(record: EngineRecord, *, stream: bool) -> Callable[[str], Callable[[], Awaitable[str]]]:
    client = LightClient(stream=stream)
    await client.connect(record)

    def prepared(name: str) -> Callable[[], Awaitable[str]]:
        request = client.request(name)
        return lambda: client.send(request)

    return prepared


async def own_ask(*, stream: bool) -> Callable[[str], Callable[[], Awaitable[str]]]:
    engine = SharedEngine(Launcher(PLACE, ["false"]), IDENTITY)
    on_text = (lambda _: None) if stream else None
    await engine.generate(section("warm-up"))

    def prepared(name: str) -> Callable[[], Awaitable[str]]:
        request = section(name)

        async def ask() -> str:
            return (await engine.generate(request, on_text=on_text)).text

        return ask

    return prepared


async def load(given: argparse.Namespace) -> dict[str, Any]:
    """What one process of clients sees; it has every ``processes``-th client."""
    record = PLACE.read()
    assert record is not None
    answers: list[tuple[str, float]] = []

    async def one_client(index: int) -> None:
        prepared = await (
            light_ask(record, stream=given.stream)
            if given.client == "light"
            else own_ask(stream=given.stream)
        )
        await asyncio.sleep(max(0.0, given.begin - time.time()) + SPREAD_SECONDS * index / given.clients)
        for number in range(index, given.sections, given.clients):
            ask = prepared(f"s{number}")
            began = time.perf_counter()
            text = await ask()
            took = time.perf_counter() - began
            name, own = text.rsplit(maxsplit=2)[-2:]
            assert name == f"s{number}", text
            answers.append((name, took - float(own)))

    before = time.process_time()
    await asyncio.gather(*(one_client(index) for index in range(given.load, given.clients, given.processes)))
    return {"answers": answers, "cpu": time.process_time() - before}


async def serve(given: argparse.Namespace) -> dict[str, float]:
    """The engine process; returns how long each request was in it, less the engine's own time."""
    engine = WaitingEngine(given.seconds, given.clients)
    process = EngineProcess(engine, PLACE, idle_minutes=1)
    timed = Timed(process._http.config.app)
    process._http.config.app = timed
    await process.run()
    return {name: seconds - engine.own_seconds[name] for name, seconds in timed.seconds.items()}


async def alone(given: argparse.Namespace) -> float:
    """Processor seconds of a request in the waiting engine itself."""
    engine = WaitingEngine(given.seconds, given.clients)
    pieces: list[str] = []

    async def client(index: int) -> None:
        for number in range(index, 500, given.clients):
            await engine.generate(section(f"s{number}"), on_text=pieces.append)

    before = time.process_time()
    await asyncio.gather(*(client(index) for index in range(given.clients)))
    return (time.process_time() - before) / 500


async def health() -> dict[str, Any]:
    record = PLACE.read()
    assert record is not None
    connection = Connection(record)
    await asyncio.sleep(5.5)  # memory is read at most every five seconds
    try:
        return await connection.health()
    finally:
        await connection.aclose()


def measure(given: argparse.Namespace, options: list[str]) -> None:
    command = [sys.executable, os.path.abspath(__file__), *options]
    own = asyncio.run(alone(given)) * 1000
    record = asyncio.run(Launcher(PLACE, [*command, "--serve"]).ensure())
    before = asyncio.run(health())
    server = psutil.Process(record.pid)
    busy = sum(server.cpu_times()[:2])
    given.begin = time.time() + 2.0
    loads = [
        subprocess.Popen([*command, f"--load={index}", f"--begin={given.begin}"], stdout=subprocess.PIPE)
        for index in range(given.processes)
    ]
    results = [json.loads(process.communicate()[0]) for process in loads]
    took = time.time() - given.begin
    busy = sum(server.cpu_times()[:2]) - busy
    after = asyncio.run(health())
    server.terminate()
    server.wait(20)
    inside = json.loads(Path(os.environ["QSUM_HOME"], TIMES).read_text())
    report(given, results, inside, took=took, busy=busy, own=own)
    memory = [int(state["memory_bytes"]) / 2**20 for state in (before, after)]
    print(f"memory of the engine process: {memory[0]:.0f} MiB before, {memory[1]:.0f} MiB after")


def report(
    given: argparse.Namespace,
    results: list[dict[str, Any]],
    inside: dict[str, float],
    *,
    took: float,
    busy: float,
    own: float,
) -> None:
    answers = [answer for result in results for answer in result["answers"]]
    seen = collections.Counter(name for name, _ in answers)
    print(
        f"{given.clients} {given.client} clients in {given.processes} processes, {given.sections} sections in "
        f"{took:.1f} s ({given.sections / took:.0f} a second), stream={given.stream}"
    )
    print("| overhead of a request, ms | p50 | p90 | p99 | count |\n|---|---|---|---|---|")
    rows = {"as the clients see it": [seconds for _, seconds in answers]}
    if inside:
        rows["of it inside the engine process"] = list(inside.values())
    for name, seconds in rows.items():
        cuts = statistics.quantiles(seconds, n=100, method="inclusive")
        cells = " | ".join(f"{cuts[cut - 1] * 1000:.2f}" for cut in (50, 90, 99))
        print(f"| {name} | {cells} | {len(seconds)} |")
    cpu = sum(result["cpu"] for result in results) / given.sections * 1000
    print(
        f"processor time per request: {cpu:.2f} ms clients, {busy / given.sections * 1000:.2f} ms engine process, "
        f"of which {own:.2f} ms the waiting engine itself"
    )
    print(f"lost {given.sections - len(seen)}, doubled {sum(count > 1 for count in seen.values())}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--sections", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--client", choices=("light", "own"), default="light")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--load", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--begin", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        inside = asyncio.run(serve(given))
        Path(os.environ["QSUM_HOME"], TIMES).write_text(json.dumps(inside))
    elif given.load is not None:
        print(json.dumps(asyncio.run(load(given))))
    else:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["QSUM_HOME"] = folder
            measure(given, sys.argv[1:])


if __name__ == "__main__":
    main()
