"""What the shared engine adds to a request: 64 clients, 2,000 sections, an engine that only waits.

    python benchmarks/host_overhead.py [--clients 64] [--sections 2000] [--seconds 0.5] [--stream]

The engine answers with the time that it itself took; the overhead is the client's time less that. It holds the
queue, both HTTP ends and the socket. Clients and engine are one process each, so on two cores nothing else
should run. Printed: percentiles of the overhead, what was lost or doubled, and the engine's memory.
"""

import argparse
import asyncio
import collections
import os
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence

import psutil

from qsum_lsp.engines.host.launcher import Launcher
from qsum_lsp.engines.host.place import EnginePlace
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
NAME = "benchmark"
PIECES = 40
SECTION = "A section of some hundred words of documentation, as long as they usually are. " * 40


class WaitingEngine:
    """Answers after ``seconds`` on average, in 40 pieces, with the source's first word and the time it took."""

    identity = IDENTITY

    def __init__(self, seconds: float, slots: int) -> None:
        self._seconds = seconds
        self._slots = slots

    def status(self) -> EngineStatus:
        return EngineStatus(state="ready", slots=self._slots)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        began = time.perf_counter()
        spread = 0.5 + zlib.crc32(request.source[:20].encode()) / 2**32  # answers differ in length
        for _ in range(PIECES):
            await asyncio.sleep(self._seconds * spread / PIECES)
            if on_text is not None:
                on_text("")
        took = time.perf_counter() - began
        text = f"{request.source.split()[0]} {took}"
        if on_text is not None:
            on_text(text)
        return Completion(text=text, finish_reason="stop", prompt_tokens=500, new_tokens=PIECES, seconds=took)

    async def aclose(self) -> None:
        pass


async def measure(clients: int, sections: int, command: list[str], *, stream: bool) -> None:
    engines = [SharedEngine(Launcher(EnginePlace(NAME), command), IDENTITY) for _ in range(clients)]
    await asyncio.gather(*(engine.generate(request("warm-up")) for engine in engines))
    before = await health(engines[0])
    overheads: list[float] = []
    seen: collections.Counter[str] = collections.Counter()

    async def one_client(index: int) -> None:
        on_text = (lambda _: None) if stream else None
        await asyncio.sleep(index / clients)  # editors do not start in step
        for number in range(index, sections, clients):
            began = time.perf_counter()
            completion = await engines[index].generate(request(f"s{number}"), on_text=on_text)
            took = time.perf_counter() - began
            name, own = completion.text.split()
            seen[name] += 1
            overheads.append(took - float(own))

    server = psutil.Process(int(before["pid"]))
    busy = time.process_time(), sum(server.cpu_times()[:2])
    began = time.perf_counter()
    await asyncio.gather(*(one_client(index) for index in range(clients)))
    took = time.perf_counter() - began
    spent = time.process_time() - busy[0], sum(server.cpu_times()[:2]) - busy[1]
    after = await health(engines[0])
    overheads.sort()
    shown = [overheads[int(len(overheads) * part / 100)] * 1000 for part in (50, 90, 99)]
    print(
        f"{clients} clients, {sections} sections in {took:.1f} s ({sections / took:.0f} a second), stream={stream}"
    )
    print("overhead per request: p50 {:.2f} ms, p90 {:.2f} ms, p99 {:.2f} ms".format(*shown))
    print(
        "processor time per request: {:.2f} ms clients, {:.2f} ms engine process".format(
            *(part / sections * 1000 for part in spent)
        )
    )
    missing = sections - len(seen)
    print(f"lost {missing}, doubled {sum(count > 1 for count in seen.values())}")
    memory = [int(state["memory_bytes"]) / 2**20 for state in (before, after)]
    print(f"memory of the engine process: {memory[0]:.0f} MiB before, {memory[1]:.0f} MiB after")
    for engine in engines:
        await engine.aclose()


async def health(engine: SharedEngine) -> dict[str, float]:
    assert engine._connection is not None
    await asyncio.sleep(5.5)  # memory is read at most every five seconds
    return await engine._connection.health()


def request(name: str) -> GenerationRequest:
    source = f"{name} {SECTION}"
    return GenerationRequest(messages=(Message("user", source),), source=source, max_new_tokens=96)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--sections", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:

        async def serve() -> None:
            engine = WaitingEngine(given.seconds, given.clients)
            await EngineProcess(engine, EnginePlace(NAME), idle_minutes=0.1).run()

        asyncio.run(serve())
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["QSUM_HOME"] = folder
        script = os.path.abspath(__file__)
        options = [f"--seconds={given.seconds}", f"--clients={given.clients}"]
        command = [sys.executable, script, "--serve", *options]
        asyncio.run(measure(given.clients, given.sections, command, stream=given.stream))
        record = EnginePlace(NAME).read()
        if record is not None:
            record.kill()


if __name__ == "__main__":
    main()
