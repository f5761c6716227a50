"""The remote engine against a real HTTP server that fails in all the ways servers fail."""

import asyncio
import base64
import logging
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from qsum_lsp import home
from qsum_lsp.engines.protocol import EngineFailed, GenerationRequest, Message, Priority, RequestTooLong
from qsum_lsp.engines.remote import RemoteEngine, retry
from qsum_lsp.engines.remote import engine as engine_module
from qsum_lsp.errors import EngineUnavailable, UsageError
from qsum_lsp.settings.values import Settings
from tests.engines.remote.other_server import OtherServer, serving, sse, stream_of

KEY = "sk-very-secret-5f2c"


def ask(word: str = "hello", priority: Priority = Priority.BATCH) -> GenerationRequest:
    return GenerationRequest(
        messages=(Message("user", f"Say {word}"),), source=word, max_new_tokens=8, priority=priority
    )


def engine_for(server: OtherServer, **settings: Any) -> RemoteEngine:
    return RemoteEngine(Settings(**({"engine": "remote", "url": server.url, "model": "m"} | settings)))


def refusal(status: int, message: str = "no", *, code: str | None = None, retry_after: str = "") -> Response:
    headers = {"Retry-After": retry_after} if retry_after else None
    return JSONResponse({"error": {"message": message, "code": code}}, status, headers=headers)


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QSUM_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "_BASE_SECONDS", 0.01)


async def test_answers_with_usage_and_streams_in_order() -> None:
    async with serving(OtherServer()) as server:
        engine = engine_for(server)
        plain = await engine.generate(ask())
        pieces: list[str] = []
        streamed = await engine.generate(ask(), on_text=pieces.append)
        await engine.aclose()
    assert plain.text == streamed.text == "hello done"
    assert pieces == ["hello", " done"]
    assert (streamed.prompt_tokens, streamed.new_tokens, streamed.finish_reason) == (5, 2, "stop")
    assert server.bodies[0]["temperature"] == 0
    assert not {"source", "priority"} & server.bodies[0].keys()  # other servers refuse unknown fields


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_passing_errors_are_retried(status: int) -> None:
    async with serving(OtherServer()) as server:
        server.faults = [refusal(status), refusal(status)]
        engine = engine_for(server)
        assert (await engine.generate(ask())).text == "hello done"
        await engine.aclose()
    assert len(server.bodies) == 3


async def test_retry_after_is_honoured() -> None:
    async with serving(OtherServer()) as server:
        server.faults = [refusal(429, retry_after="0.4")]
        engine = engine_for(server)
        started = asyncio.get_running_loop().time()
        await engine.generate(ask())
        assert asyncio.get_running_loop().time() - started >= 0.4
        await engine.aclose()


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (refusal(401, f"Incorrect key {KEY}"), EngineUnavailable, "QSUM_TEST_KEY"),
        (refusal(403), EngineUnavailable, "QSUM_TEST_KEY"),
        (refusal(404, "no such model"), EngineUnavailable, "`model`"),
        (refusal(400, "too long", code="context_length_exceeded"), RequestTooLong, "too long"),
        (refusal(400, "maximum context length is 2048 tokens"), RequestTooLong, "2048"),
        (refusal(422, "bad field"), EngineFailed, "bad field"),
        (refusal(500, "CUDA error"), EngineFailed, "CUDA error"),
        (refusal(429, "out of quota", code="insufficient_quota"), EngineUnavailable, "out of quota.*account"),
        (refusal(502, "Bad Gateway"), EngineUnavailable, "Bad Gateway.*server behind it"),
        (refusal(402, "Insufficient Balance"), EngineUnavailable, "Insufficient Balance.*account"),
        (
            RedirectResponse("https://new.example/v1", 301),
            EngineUnavailable,
            "moved to https://new.example/v1",
        ),
        (PlainTextResponse("<html>no</html>"), EngineFailed, "not JSON"),
        (JSONResponse({"hello": 1}), EngineFailed, "OpenAI"),
        (JSONResponse({"choices": [{"message": {"content": {"text": "x"}}}]}), EngineFailed, "OpenAI"),
    ],
)
async def test_lasting_errors_say_what_to_do_and_never_the_key(
    fault: Response,
    kind: type[Exception],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("QSUM_TEST_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    async with serving(OtherServer()) as server:
        server.faults = [fault] * retry.ATTEMPTS
        engine = engine_for(server, api_key_env="QSUM_TEST_KEY")
        with pytest.raises(kind, match=says) as raised:
            await engine.generate(ask())
        shown = f"{engine!r} {vars(engine)!r} {engine.status()!r} {raised.value!r} {caplog.text}"
        await engine.aclose()
    assert server.headers[-1]["authorization"] == f"Bearer {KEY}"
    assert KEY not in shown


async def test_user_and_password_in_the_address_are_unquoted() -> None:
    async with serving(OtherServer()) as server:
        engine = engine_for(server, url=server.url.replace("http://", "http://b%6Fb:pa%40ss@"))
        await engine.generate(ask())
        await engine.aclose()
    assert server.headers[-1]["authorization"] == f"Basic {base64.b64encode(b'bob:pa@ss').decode()}"


async def test_a_password_in_the_address_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(OtherServer()) as server:
        engine = engine_for(server, url=server.url.replace("http://", f"http://user:{KEY}@"))
        await engine.generate(ask())
        shown = f"{engine!r} {engine.identity} {engine.status()} {caplog.text}"
        await engine.aclose()
    assert server.headers[-1]["authorization"].startswith("Basic ")
    assert KEY not in shown


@pytest.mark.parametrize(
    "broken",
    [
        (sse({"choices": [{"delta": {"content": "hel"}}]}),),
        (sse({"choices": [{"delta": {"content": "hel"}}]}), sse({"error": {"message": "x", "code": 500}})),
    ],
)
async def test_a_broken_stream_is_repeated_without_doubled_text(broken: tuple[str, ...]) -> None:
    async with serving(OtherServer()) as server:
        server.faults = [stream_of(*broken)]
        engine = engine_for(server)
        pieces: list[str] = []
        completion = await engine.generate(ask(), on_text=pieces.append)
        await engine.aclose()
    assert "".join(pieces) == completion.text == "hello done"


async def test_unicode_line_separators_inside_a_piece_are_text() -> None:
    text = "a\u2028b\x85c\x0bd"
    last = sse({"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]})
    async with serving(OtherServer()) as server:
        server.faults = [stream_of(last, "data: [DONE]\n\n")]
        engine = engine_for(server)
        assert (await engine.generate(ask(), on_text=lambda _: None)).text == text
        await engine.aclose()


async def test_the_thoughts_of_a_model_in_parts_of_their_own_are_no_text() -> None:
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Say what?"}]}
    whole = {"message": {"content": [thought, {"type": "text", "text": "hello"}]}, "finish_reason": "stop"}
    async with serving(OtherServer()) as server:
        server.faults = [
            JSONResponse({"choices": [whole], "usage": []}),
            stream_of(
                sse({"choices": [{"delta": {"content": [thought]}}]}),
                sse({"choices": [{"delta": {"content": [{"type": "text", "text": "hel"}]}}]}),
                sse({"choices": [{"delta": {"content": "lo"}, "finish_reason": "stop"}], "usage": []}),
            ),
        ]
        engine = engine_for(server)
        pieces: list[str] = []
        assert (await engine.generate(ask())).text == "hello"
        assert (await engine.generate(ask(), on_text=pieces.append)).text == "hello"
        await engine.aclose()
    assert pieces == ["hel", "lo"]


async def test_a_list_of_models_that_is_none_names_no_model() -> None:
    server = OtherServer()
    server.models = 5  # type: ignore[assignment]
    async with serving(server):
        engine = engine_for(server)
        assert (await engine.generate(ask())).text == "hello done"
        await engine.aclose()


async def test_cancelling_closes_the_stream() -> None:
    async with serving(OtherServer()) as server:
        server.seconds = 0.2
        engine = engine_for(server)
        begun = asyncio.Event()
        task = asyncio.create_task(engine.generate(ask(), on_text=lambda _: begun.set()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(100):
            if server.given_up:
                break
            await asyncio.sleep(0.02)
        assert server.given_up == 1
        assert engine.status().running == 0
        await engine.aclose()


async def test_parallelism_backs_off_from_an_overloaded_server_and_loses_nothing() -> None:
    async with serving(OtherServer(capacity=3)) as server:
        server.seconds = 0.01
        engine = engine_for(server)
        words = [f"w{number}" for number in range(60)]
        answers = await asyncio.gather(*(engine.generate(ask(word)) for word in words))
        assert engine._limiter.limit < engine_module._START_PARALLEL
        await engine.aclose()
    assert [answer.text for answer in answers] == [f"{word} done" for word in words]
    assert server.most_running == 3


async def test_parallelism_grows_while_it_pays() -> None:
    async with serving(OtherServer()) as server:
        server.seconds = 0.1
        engine = engine_for(server)
        await asyncio.gather(*(engine.generate(ask()) for _ in range(150)))
        await engine.aclose()
    assert server.most_running > engine_module._START_PARALLEL


async def test_context_comes_from_the_setting_else_the_server() -> None:
    async with serving(OtherServer()) as server:
        engine = engine_for(server)
        before = engine.identity
        await engine.count_tokens(["x"])
        assert engine.identity.context_tokens == 2048
        assert before.fingerprint == engine.identity.fingerprint
        assert engine_for(server, context_tokens=777).identity.context_tokens == 777
        await engine.aclose()


async def test_what_the_server_said_of_its_context_is_known_before_it_is_asked_again() -> None:
    async with serving(OtherServer()) as server:
        for context in (2048, 1024):
            server.models = [{"id": "m", "max_model_len": context}]
            engine = engine_for(server)
            await engine.generate(ask())
            await engine.aclose()
            asked = len(server.headers)
            assert engine_for(server).identity.context_tokens == context
            assert len(server.headers) == asked
    path = home.server_path(engine.identity.fingerprint)
    for damaged in ("", "[]", '{"context_tokens": "many"}', '{"context_tokens": 0}'):
        path.write_text(damaged)
        assert engine_for(server).identity.context_tokens == 4096


async def test_texts_are_counted_side_by_side_and_in_order() -> None:
    met = asyncio.Barrier(8)
    running = most = 0

    async def tokenize(request: Request) -> Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await met.wait()  # never over, where they come one after another
        running -= 1
        return JSONResponse({"count": len((await request.json())["prompt"])})

    server = OtherServer()
    server.app.router.routes.append(Route("/tokenize", tokenize, methods=["POST"]))
    async with serving(server), asyncio.timeout(60):
        engine = engine_for(server)
        lengths = [number % 50 for number in range(80)]
        assert await engine.count_tokens(["x" * length for length in lengths]) == lengths
        await engine.aclose()
    assert most <= 16


async def test_a_model_that_is_not_served_is_named_with_those_that_are() -> None:
    async with serving(OtherServer(models=[{"id": "a"}, {"id": "b"}])) as server:
        engine = engine_for(server, model="c")
        with pytest.raises(EngineUnavailable, match="'c' but a, b"):
            await engine.generate(ask())
        await engine.aclose()


async def test_the_only_model_is_taken_where_none_is_set() -> None:
    async with serving(OtherServer(models=[{"id": "only"}])) as server:
        engine = engine_for(server, model=Settings().model)
        await engine.generate(ask())
        await engine.aclose()
    assert server.bodies[0]["model"] == "only"


async def test_another_model_of_the_server_is_found_after_one_failure() -> None:
    async with serving(OtherServer(models=[{"id": "first"}])) as server:
        engine = engine_for(server, model=Settings().model)
        await engine.generate(ask())
        server.models = [{"id": "second"}]
        server.faults = [refusal(404)]
        with pytest.raises(EngineUnavailable, match="Check `url` and `model`"):
            await engine.generate(ask())
        await engine.generate(ask())
        await engine.aclose()
    assert server.bodies[-1]["model"] == "second"


async def test_a_page_in_place_of_the_models_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "Patience", lambda: None)  # nothing is tried again
    async with serving(OtherServer()) as server:
        server.app.router.routes.insert(
            0, Route("/v1/models", lambda _: PlainTextResponse("<html>Hi</html>"))
        )
        engine = engine_for(server)
        with pytest.raises(EngineUnavailable, match=r"page.*Check `url`"):
            await engine.generate(ask())
        await engine.aclose()


@pytest.mark.parametrize("status", [400, 502])
async def test_a_server_that_cannot_say_what_it_serves_is_unavailable(status: int) -> None:
    server = OtherServer()
    server.app.router.routes.insert(0, Route("/v1/models", lambda _: refusal(status, "no backend")))
    async with serving(server):
        engine = engine_for(server)
        with pytest.raises(EngineUnavailable, match=r"no backend.*Check"):
            await engine.generate(ask())
        await engine.aclose()
    assert not server.bodies


async def test_a_server_that_is_silent_from_the_first_question_on_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def silent(_: Request) -> Response:
        await asyncio.sleep(3600)
        raise AssertionError

    monkeypatch.setattr(engine_module, "_LIST_SECONDS", 0.05)
    server = OtherServer()
    server.app.router.routes.insert(0, Route("/v1/models", silent))
    async with serving(server), asyncio.timeout(60):
        engine = engine_for(server)
        with pytest.raises(EngineUnavailable, match=r"broke off.*Check `url`"):
            await engine.generate(ask())
        await engine.aclose()


async def test_thinking_is_switched_off_where_the_server_can() -> None:
    async with serving(OtherServer()) as vllm, serving(OtherServer(models=[{"id": "m"}])) as unknown:
        for server in (vllm, unknown):
            engine = engine_for(server)
            await engine.generate(ask())
            await engine.aclose()
    assert vllm.bodies[0]["chat_template_kwargs"] == {"enable_thinking": False}
    assert "chat_template_kwargs" not in unknown.bodies[0]


async def test_an_unreachable_server_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    engine = RemoteEngine(Settings(engine="remote", url=f"http://127.0.0.1:{port}"))
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        await engine.generate(ask())
    assert engine.status().state == "failed"
    await engine.aclose()


async def test_a_server_that_goes_away_is_unavailable_soon(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving(OtherServer()) as server:
        engine = engine_for(server)
        await engine.generate(ask())
    with pytest.raises(EngineUnavailable, match="cannot be reached"):
        await engine.generate(ask())
    assert caplog.text.count("trying again") <= 2  # where the kept connection broke, and once more
    await engine.aclose()


async def test_certificates_are_verified_and_not_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    await asyncio.to_thread(
        subprocess.run,
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    async with serving(OtherServer(), ssl_keyfile=str(key), ssl_certfile=str(certificate)) as server:
        engine = engine_for(server)
        with pytest.raises(EngineUnavailable, match="certificate"):
            await engine.generate(ask())
        assert "trying again" not in caplog.text
        await engine.aclose()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        trusting = engine_for(server)
        assert (await trusting.generate(ask())).text == "hello done"
        await trusting.aclose()


async def test_a_proxy_from_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(OtherServer()) as proxy:  # asked in absolute form, it answers for any host
        for name in ("NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy", "http_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        engine = RemoteEngine(Settings(engine="remote", url="http://models.invalid/v1", model="m"))
        assert (await engine.generate(ask())).text == "hello done"
        await engine.aclose()
    assert proxy.headers[-1]["host"] == "models.invalid"


@pytest.mark.parametrize(
    "url", [None, "", "localhost:8000", "ftp://x", "unix:/x", "http://x:8o", "http://x:99999", "http://[::1"]
)
def test_a_bad_url_is_a_settings_error(url: str | None) -> None:
    with pytest.raises(UsageError, match="url"):
        RemoteEngine(Settings(engine="remote", url=url))


async def test_an_address_that_only_the_client_refuses_is_unavailable() -> None:
    engine = RemoteEngine(Settings(engine="remote", url="http://x\x01/v1"))
    with pytest.raises(EngineUnavailable, match="`url` is no address"):
        await engine.generate(ask())


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "other://127.0.0.1:9"),
        ("HTTP_PROXY", "http://127.0.0.1:port"),
        ("SSL_CERT_FILE", "/no/such/file"),
    ],
)
async def test_an_environment_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    engine = RemoteEngine(Settings(engine="remote", url="http://127.0.0.1:9"))
    with pytest.raises(EngineUnavailable, match=variable):
        await engine.generate(ask())


async def test_a_missing_key_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QSUM_TEST_KEY", raising=False)
    engine = RemoteEngine(Settings(engine="remote", url="http://127.0.0.1:9", api_key_env="QSUM_TEST_KEY"))
    with pytest.raises(EngineUnavailable, match="QSUM_TEST_KEY"):
        await engine.generate(ask())


async def test_closing_tells_all_who_wait_that_the_engine_is_closed() -> None:
    async with serving(OtherServer()) as server:
        for ask_first in (False, True):
            engine = engine_for(server)
            if ask_first:
                await engine.generate(ask())
            server.seconds = 60
            waiting = [
                asyncio.create_task(engine.generate(ask())) for _ in range(12)
            ]  # more than may run at once
            while len(server.bodies) < (1 + 8 if ask_first else 0):  # noqa: ASYNC110 — the server's state
                await asyncio.sleep(0.01)
            await asyncio.sleep(0)
            await engine.aclose()
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert {repr(result) for result in results} == {"EngineUnavailable('The engine is closed.')"}
            server.seconds = 0
