"""The HTTP interface: what it answers, whom it refuses, how it protects itself."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from qsum_lsp import home
from qsum_lsp.engines.host import body, chat, listen
from qsum_lsp.engines.host.app import create_app
from qsum_lsp.engines.host.guard import Guard
from qsum_lsp.engines.host.hosted import HostedEngine
from qsum_lsp.engines.host.place import EnginePlace, EngineRecord
from qsum_lsp.engines.protocol import EngineFailed, GenerationRequest, Message
from qsum_lsp.errors import EngineUnavailable
from tests.engines.host.engines import Engines
from tests.engines.host.scripted_host import client
from tests.scripted_engine import ScriptedEngine

NAME = "0123456789abcdef"
TOKEN = "a-random-token"
_HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer a-random-token\r\n"
    b"Content-Type: application/json\r\n"
)
MESSAGES = [{"role": "user", "content": "one two three four"}]


class Server:
    """The application over a scripted engine, in this process, on a loopback port behind a token."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine()
        self.hosted = HostedEngine(self.engine)
        self.http = listen.HttpServer(Guard(create_app(self.hosted), token=TOKEN))
        self.listener = listen.loopback_listener(0)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def client(self, **headers: str) -> httpx.AsyncClient:
        """A plain HTTP client that knows the token."""
        return httpx.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"} | headers, trust_env=False
        )


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    running = Server()
    serving = asyncio.create_task(running.http.serve(sockets=[running.listener]))
    await running.hosted.load()
    while not running.http.started:  # noqa: ASYNC110 — uvicorn has no event for it
        await asyncio.sleep(0.01)
    running.engine.requests.clear()
    yield running
    running.http.should_exit = running.http.force_exit = True
    await serving


async def test_the_openai_client_works(server: Server) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=TOKEN) as api:
        (model,) = (await api.models.list()).data
        answer = await api.chat.completions.create(model=model.id, messages=MESSAGES, max_tokens=3)  # type: ignore[arg-type]
        assert answer.choices[0].message.content == "one two three"
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage is not None
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (4, 3)
        stream = await api.chat.completions.create(
            model=model.id,
            messages=MESSAGES,  # type: ignore[arg-type]
            stream=True,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == "one two three four."
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == 8
        with pytest.raises(openai.NotFoundError, match="not served here"):
            await api.chat.completions.create(model="gpt-9", messages=MESSAGES)  # type: ignore[arg-type]
        parts = [{"role": "user", "content": [{"type": "text", "text": "in parts"}]}]
        answer = await api.chat.completions.create(model=model.id, messages=parts)  # type: ignore[arg-type]
        assert answer.choices[0].message.content == "in parts."


async def test_pieces_that_come_together_are_one_event(server: Server) -> None:
    words = " ".join(["word"] * 300)
    server.engine.answer = lambda _: words
    server.engine.seconds_per_word = 0.0
    sent = {"model": "scripted", "messages": MESSAGES, "stream": True, "max_tokens": 400}
    async with server.client() as http:
        lines = (await http.post("/v1/chat/completions", json=sent)).text.splitlines()
    *events, end = [line.removeprefix("data: ") for line in lines if line]
    deltas = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events]
    assert end == "[DONE]"
    assert "".join(deltas) == words
    assert len(deltas) < 300


async def test_what_is_qsums_own_reaches_the_engine(server: Server) -> None:
    own = {"source": "the source", "enough_chars": 340, "enough_sentences": 2, "priority": 1}
    sent = {"model": "scripted", "messages": MESSAGES, "max_tokens": 9, **own}
    async with server.client() as http:
        assert (await http.post("/v1/chat/completions", json=sent)).status_code == 200
    request = server.engine.requests[-1]
    assert (request.source, request.priority) == ("the source", 1)
    assert (request.enough_chars, request.enough_sentences) == (340, 2)


async def test_health_and_metrics_tell_what_happened(server: Server) -> None:
    async with server.client() as http:
        await http.post("/v1/chat/completions", json={"model": "scripted", "messages": MESSAGES})
        health = (await http.get("/health")).json()
        assert health["state"] == "ready"
        assert health["device"] == "script"
        assert health["memory_bytes"] > 1_000_000
        metrics = (await http.get("/metrics")).text
        assert 'qsum_requests_total{outcome="completed"} 1.0' in metrics
        assert "qsum_new_tokens_total 4.0" in metrics
        assert "qsum_running 0.0" in metrics
        counts = await http.post("/tokenize", json={"prompt": "a b c"})
        assert counts.json() == {"count": 3, "max_model_len": 4096}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "does not fit"),
        (b"\xff\xfe", "does not fit"),
        (b"[]", "does not fit"),
        (b"{}", "model"),
        (b'{"model": "scripted", "messages": []}', "messages"),
        (b'{"model": "scripted", "messages": [{"role": "wizard", "content": "x"}]}', "role"),
        (b'{"model": "scripted", "messages": [{"role": "user", "content": "x"}], "n": 2}', "`"),
        (
            b'{"model": "scripted", "messages": [{"role": "user", "content": "x"}], "max_tokens": -1}',
            "max_tokens",
        ),
        (b'{"model": "scripted", "messages": [{"role": "user", "content": "x"}], "priority": 7}', "priority"),
        (b"[" * 100_000, "does not fit"),
    ],
)
async def test_malformed_bodies_are_explained(server: Server, content: bytes, says: str) -> None:
    async with server.client() as http:
        for path in ("/v1/chat/completions", "/tokenize"):
            reply = await http.post(path, content=content, headers={"Content-Type": "application/json"})
            assert reply.status_code == 400
            assert reply.json()["error"]["message"]
        reply = await http.post(
            "/v1/chat/completions", content=content, headers={"Content-Type": "application/json"}
        )
        assert says in reply.json()["error"]["message"]
    assert server.engine.requests == []


async def test_bodies_over_the_limit_are_refused(server: Server) -> None:
    long = b" " * (body.LONGEST_BODY_BYTES + 1)

    async def in_chunks() -> AsyncIterator[bytes]:
        yield long

    for content in (long, in_chunks()):
        async with server.client() as http:
            headers = {"Content-Type": "application/json"}
            reply = await http.post("/v1/chat/completions", content=content, headers=headers)
            assert reply.status_code == 413


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:8080"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Host": "example.org"}, 403),
        ({"Host": "127.0.0.1.example.org:80"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Content-Type": "text/plain"}, 415),
        ({"Host": "localhost"}, 200),
        ({}, 200),
    ],
)
async def test_web_pages_and_strangers_are_refused(
    server: Server, headers: dict[str, str], status: int
) -> None:
    async with server.client() as http:
        sent = {"Content-Type": "application/json"} | headers
        content = json.dumps({"model": "scripted", "messages": MESSAGES})
        reply = await http.post("/v1/chat/completions", content=content, headers=sent)
        assert reply.status_code == status
        assert "access-control-allow-origin" not in reply.headers
        if status == 403:
            preflight = await http.request("OPTIONS", "/v1/chat/completions", headers=sent)
            assert preflight.status_code == 403
    assert len(server.engine.requests) == (status == 200)


@pytest.mark.parametrize(
    "sent",
    [
        b"",  # half-open: connects and says nothing
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127",  # stops in the headers
        _HEAD + b"Content-Length: 100\r\n\r\n{",  # stops in the body
    ],
)
async def test_slow_senders_are_cut(server: Server, sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen.PromptProtocol, "request_seconds", 0.5)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(sent)
    try:
        async with asyncio.timeout(5):
            for _ in range(100):  # a byte now and then does not prolong it
                if reader.at_eof():
                    break
                await asyncio.sleep(0.05)
                if sent:
                    writer.write(b"x")
            await reader.read()
    except ConnectionError:
        pass
    writer.close()
    await asyncio.sleep(0.1)
    assert server.http.connections == 0


async def test_garbage_gets_an_answer(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
    async with asyncio.timeout(5):
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
    writer.close()


async def test_a_reader_that_takes_nothing_is_given_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "_SLOWEST_READER_SECONDS", 0.5)
    server.engine.answer = lambda _: " ".join(["word" * 50_000] * 100)
    content = json.dumps(
        {"model": "scripted", "messages": MESSAGES, "stream": True, "max_tokens": 4000}
    ).encode()
    raw = socket.create_connection(("127.0.0.1", server.port))
    raw.sendall(_HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(content), content))
    async with asyncio.timeout(20):
        while not server.engine.requests or server.hosted.scheduler.running:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    raw.close()


async def test_a_full_queue_says_when_to_come_back(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.engine.gate = asyncio.Event()
    monkeypatch.setattr(server.hosted.scheduler, "_most_per_client", 5)
    async with server.client() as http:
        sent = {"model": "scripted", "messages": MESSAGES}
        waiting = [asyncio.create_task(http.post("/v1/chat/completions", json=sent)) for _ in range(15)]
        await asyncio.sleep(0.5)
        reply = await http.post("/v1/chat/completions", json=sent)
        assert reply.status_code == 429
        assert int(reply.headers["retry-after"]) >= 1
        other = asyncio.create_task(
            http.post("/v1/chat/completions", json=sent, headers={"X-Qsum-Client": "b"})
        )
        await asyncio.sleep(0.2)
        assert not other.done()  # another client still has room
        server.engine.gate.set()
        assert {(await task).status_code for task in (*waiting, other)} == {200}


async def test_an_error_in_the_middle_of_a_stream_is_an_event(server: Server) -> None:
    async def generate(request: GenerationRequest, *, on_text: Any = None) -> None:
        on_text("begun")
        await asyncio.sleep(0.05)
        raise EngineFailed("in the middle")

    server.engine.generate = generate  # type: ignore[assignment, method-assign]
    async with server.client() as http:
        sent = {"model": "scripted", "messages": MESSAGES, "stream": True}
        reply = await http.post("/v1/chat/completions", json=sent)
        assert reply.status_code == 200
        assert json.loads(reply.text.strip().splitlines()[-1][6:])["error"]["message"] == "in the middle"


_STRANGER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
found = []
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1]); found.append("connected")
except PermissionError:
    pass
try:
    open(sys.argv[2]).read(); found.append("read the record")
except PermissionError:
    pass
try:
    os.listdir(os.path.dirname(sys.argv[2])); found.append("listed the folder")
except PermissionError:
    pass
print(",".join(found) or "nothing")
"""


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("tcp", [False, True])
async def test_another_user_can_neither_connect_nor_read_the_token(
    engines: Engines, tmp_path: Path, tcp: bool
) -> None:
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)  # pytest's own folders keep others out already; the engine's must do so alone
    engine = client(NAME, tcp=tcp)
    await engine.generate(GenerationRequest(messages=(Message("user", "x"),), source="x", max_new_tokens=4))
    await engine.aclose()
    place = EnginePlace(NAME)
    record = place.read()
    assert isinstance(record, EngineRecord)
    assert (record.token is not None) == tcp
    arguments = [sys.executable, "-c", _STRANGER, str(place.socket), str(place.record_path)]
    seen = await asyncio.to_thread(
        subprocess.run, arguments, capture_output=True, text=True, check=True, cwd="/"
    )
    assert seen.stdout.strip() == "nothing"
    if tcp:
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"{record.address}/health")).status_code == 401


def test_a_folder_of_somebody_else_is_not_used(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    home.run_folder().mkdir(parents=True)
    os.chown(home.run_folder(), 65534, 65534)
    with pytest.raises(EngineUnavailable, match="folder of yours"):
        EnginePlace(NAME).prepare()
    os.chown(home.run_folder(), 0, 0)
