"""``python -m tests.engines.host.scripted_host NAME …``: the engine process around a scripted engine.

Appends its process number to the file ``loads`` in QSUM_HOME when the engine begins to load, and the time to
``loaded`` when it has.
"""

import argparse
import asyncio
import os
import sys
import time
from dataclasses import replace

from qsum_lsp import home
from qsum_lsp.engines.host.launcher import ALREADY_RUNNING, Launcher
from qsum_lsp.engines.host.place import EnginePlace
from qsum_lsp.engines.host.process import AlreadyRunning, EngineProcess
from qsum_lsp.engines.host.shared import SharedEngine
from qsum_lsp.engines.protocol import (
    Completion,
    EngineFailed,
    EngineIdentity,
    EngineStatus,
    GenerationRequest,
    OnText,
    RequestTooLong,
)
from qsum_lsp.errors import EngineUnavailable
from tests.scripted_engine import ScriptedEngine, first_words

IDENTITY = EngineIdentity(name="scripted", model="scripted", fingerprint="scripted-1", context_tokens=4096)


class LoadingEngine(ScriptedEngine):
    """Takes ``load_seconds`` to load, or fails with ``failure``."""

    def __init__(self, *, load_seconds: float, failure: str, seconds_per_word: float) -> None:
        super().__init__(_answer, seconds_per_word=seconds_per_word)
        self._load_seconds = load_seconds
        self._failure = failure
        self._loaded = False
        self._broken = False

    def status(self) -> EngineStatus:
        return replace(super().status(), state="failed" if self._broken else "ready")

    async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        if not self._loaded:
            with (home.home() / "loads").open("a") as loads:
                loads.write(f"{os.getpid()}\n")
            await asyncio.sleep(self._load_seconds)
            if self._failure:
                raise EngineUnavailable(self._failure)
            with (home.home() / "loaded").open("a") as loaded:
                loaded.write(f"{time.time()}\n")
            self._loaded = True
        if request.source == "break":
            self._broken = True
            raise EngineUnavailable("as the script says")
        if request.source.startswith("block"):
            time.sleep(float(request.source.split()[1]))  # noqa: ASYNC251 — an engine that hangs
        return await super().generate(request, on_text=on_text)


def _answer(request: GenerationRequest) -> str:
    match request.source.split()[0]:
        case "fail":
            raise EngineFailed("as the script says")
        case "long":
            raise RequestTooLong("as the script says")
        case "die":
            os._exit(9)
    return first_words(request)


def command(
    name: str,
    *,
    load_seconds: float = 0.0,
    idle_minutes: float = 1.0,
    failure: str = "",
    tcp: bool = False,
    seconds_per_word: float = 0.002,
) -> list[str]:
    """The command line of the process."""
    options = [f"--load-seconds={load_seconds}", f"--idle-minutes={idle_minutes}", f"--failure={failure}"]
    options += [f"--seconds-per-word={seconds_per_word}", *(["--tcp"] if tcp else [])]
    return [sys.executable, "-m", "tests.engines.host.scripted_host", name, *options]


def client(name: str, **options: object) -> SharedEngine:
    """A client of the engine ``name``."""
    place = EnginePlace(name)
    return SharedEngine(Launcher(place, command(name, **options)), IDENTITY)  # type: ignore[arg-type]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--load-seconds", type=float)
    parser.add_argument("--idle-minutes", type=float)
    parser.add_argument("--failure")
    parser.add_argument("--tcp", action="store_true")
    parser.add_argument("--seconds-per-word", type=float)
    given = parser.parse_args()

    async def serve() -> None:
        engine = LoadingEngine(
            load_seconds=given.load_seconds, failure=given.failure, seconds_per_word=given.seconds_per_word
        )
        place = EnginePlace(given.name)
        await EngineProcess(engine, place, idle_minutes=given.idle_minutes, tcp=given.tcp).run()

    try:
        asyncio.run(serve())
    except AlreadyRunning:
        return ALREADY_RUNNING
    except EngineUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
