"""An OpenAI-compatible server that answers by script, a process of its own: for counting, timing and faults.

``python -m tests.scripted_server`` prints its port and serves until its standard input closes. ``GET /script``
tells what happened, ``POST /script`` changes the script while it runs.
"""

import json
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self


@dataclass
class Script:
    """``seconds_per_word`` paces the stream; a ``status`` other than 200 is answered, with ``error``.

    At most ``slots`` answers are made at once; further requests wait.
    """

    seconds_per_word: float = 0.0
    status: int = 200
    error: str = "scripted failure"
    answer: str = ""
    slots: int = 10_000
    requests: int = 0
    finished: int = 0
    given_up: int = 0
    running: int = 0
    keeps_prompts: bool = True
    prompts: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script
    lock: threading.Condition

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/script":
            self._json(200, asdict(self.script))
        elif self.path == "/v1/models":
            self._json(
                200,
                {"object": "list", "data": [{"id": "scripted", "object": "model", "max_model_len": 4096}]},
            )
        else:
            self._json(404, {"error": {"message": "no such path"}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"{}")
        if self.path == "/script":
            for name, value in body.items():
                setattr(self.script, name, value)
            self._json(200, asdict(self.script))
        elif self.path == "/v1/chat/completions":
            self._chat(body)
        else:
            self._json(404, {"error": {"message": "no such path"}})

    def _chat(self, body: dict[str, Any]) -> None:
        script = self.script
        if not body:  # the client left before it had said what it wanted
            self.close_connection = True
            return
        prompt = body["messages"][-1]["content"]
        with self.lock:
            script.requests += 1
            if script.keeps_prompts:
                script.prompts.append(prompt)
            self.lock.wait_for(lambda: script.running < script.slots)
            script.running += 1
        try:
            if script.status != 200:
                self._json(script.status, {"error": {"message": script.error}})
                return
            words = (script.answer or _answer(prompt)).split()
            if body.get("stream"):
                self._stream(words, body)
            else:
                time.sleep(script.seconds_per_word * len(words))
                self._json(200, {**_frame(len(words)), "choices": [_choice(" ".join(words))]})
            script.finished += 1
        except (BrokenPipeError, ConnectionResetError):
            with self.lock:
                script.given_up += 1
            self.close_connection = True
        finally:
            with self.lock:
                script.running -= 1
                self.lock.notify()

    def _stream(self, words: list[str], body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for index, word in enumerate(words):
            time.sleep(self.script.seconds_per_word)
            piece = word if index == 0 else f" {word}"
            self._event({"choices": [{"index": 0, "delta": {"content": piece}, "finish_reason": None}]})
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if body.get("stream_options", {}).get("include_usage"):
            self._event({**_frame(len(words)), "choices": []})
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _event(self, data: dict[str, Any]) -> None:
        self.wfile.write(b"data: " + json.dumps(data).encode() + b"\n\n")
        self.wfile.flush()

    def _json(self, status: int, data: dict[str, Any]) -> None:
        payload = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def _answer(prompt: str) -> str:
    """The first words of the prompt's longest line: they stand in the section, so the summary is grounded."""
    longest = max(prompt.splitlines(), key=len, default="Nothing")
    return " ".join(longest.split()[:14]).rstrip(".,;:") + "."


def _frame(new_tokens: int) -> dict[str, Any]:
    usage = {"prompt_tokens": 10, "completion_tokens": new_tokens, "total_tokens": 10 + new_tokens}
    return {"id": "scripted", "object": "chat.completion", "model": "scripted", "usage": usage}


def _choice(text: str) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}


class ScriptedServer:
    """The server as a process, for the length of a ``with`` block."""

    def __init__(self, **script: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.scripted_server"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.change(**script)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)

    def settings(self, **more: Any) -> dict[str, Any]:
        """An editor's settings for this server."""
        return {"engine": "remote", "url": self.url, "model": "scripted", "hover_wait_ms": 20_000, **more}

    def script(self) -> dict[str, Any]:
        """What happened so far."""
        return self._call(None)

    def change(self, **script: Any) -> None:
        """Change the script."""
        self._call(script)

    def _call(self, body: dict[str, Any] | None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/script", data=data)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            result: dict[str, Any] = json.load(answer)
            return result


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 512  # of five, the default, a wave of requests would lose some for seconds


def _serve() -> None:
    handler = type("Handler", (_Handler,), {"script": Script(), "lock": threading.Condition()})
    server = _Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)  # noqa: T201
    sys.stdin.read()


if __name__ == "__main__":
    _serve()
