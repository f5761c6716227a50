"""What a program that has just started pays beside the generation, when another one has loaded the engine already.

``python -m benchmarks.warm_engine [--runs 15]``. The engine answers in a known time, so that the rest can be told
from it. Two tables are printed. The first is of a client's first and second request, in a fresh process each time
and as the process itself measures them: its time less the engine's own. ``prepared`` is a client like the language
server, which has imported what it asks with before anybody asks. The second is of whole processes against an engine
that answers at once, and of the hook where nothing is to be done, with the engine and without.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.processes import in_turn, installed_environment, print_table
from qsum_lsp.engines.host.place import EnginePlace
from qsum_lsp.engines.host.process import EngineProcess
from qsum_lsp.engines.protocol import (
    Completion,
    EngineIdentity,
    EngineStatus,
    GenerationRequest,
    Message,
    OnText,
)
from qsum_lsp.front_matter import set_summary
from qsum_lsp.service import create_engine, create_local_engine, import_client, shared_settings
from qsum_lsp.settings import Settings

ANSWER = "The client sends a request again when the server does not answer."
PAGE = f"---\ntitle: Retries\n---\n# Retries\n\n{ANSWER} {'It waits longer each time before it does so. ' * 12}\n"
GENERATION_SECONDS = 0.3
LIMITS_MS = {"hook, fresh page, no engine": 300, "hook, fresh page, warm engine": 300}


class TimedEngine:
    """Answers every request after ``seconds``, as the engine with ``identity`` would be found."""

    def __init__(self, identity: EngineIdentity, seconds: float) -> None:
        self.identity = identity
        self._seconds = seconds

    def status(self) -> EngineStatus:
        return EngineStatus(state="ready", device="none", slots=8)

    async def count_tokens(self, texts: list[str]) -> list[int]:
        return [len(text.split()) for text in texts]

    async def generate(self, _: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        began = time.perf_counter()
        await asyncio.sleep(self._seconds)
        took = time.perf_counter() - began
        if on_text is not None:
            on_text(ANSWER)
        # The only number that comes back unchanged: the engine's own microseconds.
        prompt_tokens = round(took * 1e6)
        return Completion(
            text=ANSWER, finish_reason="stop", prompt_tokens=prompt_tokens, new_tokens=13, seconds=took
        )

    async def aclose(self) -> None:
        pass


def settings_of(model: Path) -> Settings:
    return shared_settings(Settings(engine="llama", model=str(model)))


async def serve(model: Path, seconds: float) -> None:
    """The engine process."""
    settings = settings_of(model)
    identity = create_local_engine(settings).identity
    await EngineProcess(
        TimedEngine(identity, seconds), EnginePlace.of(settings, identity), idle_minutes=5
    ).run()


async def ask(model: Path, *, prepared: bool) -> list[float]:
    """The client process: milliseconds of its first and second request beside the engine's own."""
    engine = create_engine(settings_of(model))
    if prepared:
        import_client(settings_of(model))
    request = GenerationRequest(messages=(Message("user", PAGE),), source=PAGE, max_new_tokens=96)
    beside = []
    for _ in range(2):
        began = time.perf_counter()
        completion = await engine.generate(request)
        beside.append((time.perf_counter() - began) * 1000 - completion.prompt_tokens / 1000)
    await engine.aclose()
    return beside


def own(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.warm_engine", *arguments]


@contextmanager
def engine_process(model: Path, seconds: float, environment: Mapping[str, str]) -> Iterator[None]:
    """The engine, ready to answer."""
    process = subprocess.Popen(own("--serve", str(seconds), "--model", str(model)), env=environment)
    try:
        subprocess.run(own("--ask", "--model", str(model)), env=environment, check=True, capture_output=True)
        yield
    finally:
        process.kill()
        process.wait()


def measure(runs: int) -> None:
    with installed_environment() as environment:
        folder = Path(environment["QSUM_HOME"])
        folder.mkdir()
        model = folder / "model.gguf"
        model.write_bytes(b"GGUF")
        os.environ.update(environment)
        first_requests(model, environment, runs)
        whole_processes(model, folder, environment, runs)


def first_requests(model: Path, environment: Mapping[str, str], runs: int) -> None:
    print(
        f"| client process, engine warm ({GENERATION_SECONDS * 1000:.0f} ms a request) | beside the generation, ms, median | least | limit ms |\n|---|---|---|---|"
    )
    with engine_process(model, GENERATION_SECONDS, environment):
        found: dict[str, list[float]] = {}
        for _ in range(runs):
            for name, option in (("as it starts", "--ask"), ("prepared", "--ask-prepared")):
                done = subprocess.run(
                    own(option, "--model", str(model)), env=environment, check=True, capture_output=True
                )
                first, second = json.loads(done.stdout)
                found.setdefault(f"{name}: first request", []).append(first)
                found.setdefault(f"{name}: second request", []).append(second)
    for name, times in found.items():
        limit = 100 if "first" in name else ""
        print(f"| {name} | {statistics.median(times):.1f} | {min(times):.1f} | {limit} |")


def whole_processes(model: Path, folder: Path, environment: Mapping[str, str], runs: int) -> None:
    fresh, stale = folder / "fresh.md", folder / "stale.md"
    fresh.write_text(set_summary(PAGE, key="summary", summary=ANSWER))
    stale.write_text(PAGE)
    (folder / ".qsum.toml").write_text(f'engine = "llama"\nmodel = "{model}"\n')
    hook = [sys.executable, "-m", "qsum_hooks.summaries"]
    found = in_turn({"hook, fresh page, no engine": [*hook, str(fresh)]}, environment, runs=runs)
    with engine_process(model, 0.0, environment):
        found |= in_turn(
            {
                "hook, fresh page, warm engine": [*hook, str(fresh)],
                "qsum summarize --no-cache, warm engine": [
                    sys.executable, "-m", "qsum_lsp", "summarize", "--no-cache", str(stale),
                ],
            },
            environment,
            runs=runs,
        )  # fmt: skip
    print()
    print_table(found, LIMITS_MS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--ask", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ask-prepared", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve is not None:
        asyncio.run(serve(given.model, given.serve))
    elif given.ask or given.ask_prepared:
        print(json.dumps(asyncio.run(ask(given.model, prepared=given.ask_prepared))))
    else:
        measure(given.runs)


if __name__ == "__main__":
    main()
