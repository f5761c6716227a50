"""A small model with a catalogue of its own, a loopback hub and wheels on disk, for the tests of pulling."""

import hashlib
import os
import random
import re
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from qsum_lsp import models
from qsum_lsp.errors import QsumError
from qsum_lsp.models import HubSource, ModelEntry, RegistrySource

CONTENT = b"GGUF" + random.Random(7).randbytes(3_000_000)  # noqa: S311 - any bytes will do
PARTS = 3
VERSION = "1.0"
HUB = HubSource("Some/Model-GGUF", "0123456789abcdef0123456789abcdef01234567")
REGISTRY = RegistrySource("qsum-test-model-part{number}", VERSION, PARTS)


def entry(*sources: HubSource | RegistrySource) -> ModelEntry:
    """The small model, from these sources."""
    return ModelEntry(
        alias="small-model",
        title="A small model",
        file="small-model.gguf",
        size=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        licence="Apache-2.0",
        architecture="qwen2",
        context_tokens=1024,
        thinking=False,
        sources=sources,
    )


def use(model: ModelEntry) -> None:
    """Make ``model`` the whole catalogue of this process."""
    from qsum_lsp.models import entries

    entries.catalogue = lambda: (model,)  # type: ignore[assignment]


def write_wheel(folder: Path, number: int, data: bytes | None, *, version: str = VERSION) -> Path:
    """A wheel of one part; without data it has none."""
    name = f"qsum_test_model_part{number}"
    info = f"{name}-{version}.dist-info"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(f"{name}/__init__.py", "raise SystemExit('no code of a package may run')")
        if data is not None:
            wheel.writestr(f"{name}/data/part{number:02}.bin", data)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def write_wheels(folder: Path, content: bytes = CONTENT) -> None:
    """All parts of the model, the last one a little longer."""
    step = len(content) // PARTS
    for number in range(1, PARTS + 1):
        end = len(content) if number == PARTS else number * step
        write_wheel(folder, number, content[(number - 1) * step : end])


@dataclass
class Hub:
    """A hub on the loopback interface. ``ranges`` are the offsets that were asked for, in order.

    ``break_after`` lists after how many bytes the first answers break off; ``status`` is answered instead of the
    file; ``silent`` never answers; ``seconds_a_chunk`` slows it down. Where ``tells_length`` is false, an answer ends
    with its connection.
    """

    content: bytes = CONTENT
    honours_ranges: bool = True
    tells_length: bool = True
    break_after: list[int] = field(default_factory=list)
    status: int = 200
    silent: bool = False
    seconds_a_chunk: float = 0.0
    ranges: list[int] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def serve(self) -> Iterator["Hub"]:
        """Answer until the end of the block."""
        closing = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub.answer(self, closing)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield self
        finally:
            closing.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, handler: BaseHTTPRequestHandler, closing: threading.Event) -> None:
        """One request."""
        handler.close_connection = True
        match = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        offset = int(match[1]) if match else 0
        self.ranges.append(offset)
        self.paths.append(handler.path)
        if self.silent:
            closing.wait()
            return
        if self.status != 200:
            handler.send_error(self.status)
            return
        if not self.honours_ranges:
            offset = 0
        handler.send_response(206 if offset else 200)
        if offset:
            last = len(self.content) - 1
            handler.send_header("Content-Range", f"bytes {offset}-{last}/{len(self.content)}")
        if self.tells_length:
            handler.send_header("Content-Length", str(len(self.content) - offset))
        handler.end_headers()
        data = self.content[offset:]
        if self.break_after:
            data = data[: self.break_after.pop(0)]
        try:
            for start in range(0, len(data), 65536):
                handler.wfile.write(data[start : start + 65536])
                if closing.wait(self.seconds_a_chunk):
                    return
        except OSError:
            pass  # the client left


def main() -> None:
    """``python -m tests.models.fake hub|registry [LIMIT]``: pull the small model in a process of its own.

    Prints one line an activity, then the path or the error. LIMIT bounds the size of a file, like a full disk.
    """
    use(entry({"hub": HUB, "registry": REGISTRY}[sys.argv[1]]))
    if len(sys.argv) > 2:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
    seen: set[str] = set()

    def report(progress: models.PullProgress) -> None:
        if progress.activity not in seen:
            seen.add(progress.activity)
            print(progress.activity, flush=True)  # noqa: T201
        if os.environ.get("SLOW"):
            time.sleep(0.1)

    try:
        print(models.pull("small-model", report), flush=True)  # noqa: T201
    except QsumError as error:
        print(f"{type(error).__name__}: {error}", flush=True)  # noqa: T201
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
