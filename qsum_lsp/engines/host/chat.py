"""``/v1/chat/completions``: one request in, one answer or a stream of server-sent events out."""

import asyncio
import contextlib
import secrets
import time
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from qsum_lsp.engines.host.body import BadBody, read_body
from qsum_lsp.engines.host.chat_body import ChatBody, decode_chat_body
from qsum_lsp.engines.host.clients import CLIENT_HEADER, Clients
from qsum_lsp.engines.host.metrics import Metrics
from qsum_lsp.engines.host.pieces import Pieces
from qsum_lsp.engines.host.replies import encode, error_body, error_reply, json_reply
from qsum_lsp.engines.host.scheduler import QueueFull, Scheduler, Stopping
from qsum_lsp.engines.protocol import Completion, Engine, EngineFailed, RequestTooLong
from qsum_lsp.errors import EngineUnavailable

_CLIENT_HEADER = CLIENT_HEADER.lower().encode()
_SLOWEST_READER_SECONDS = 60.0


class ChatEndpoint:
    """The ASGI application of the path. A client that goes away takes its request with it."""

    def __init__(self, engine: Engine, scheduler: Scheduler, metrics: Metrics, clients: Clients) -> None:
        self._engine = engine
        self._scheduler = scheduler
        self._metrics = metrics
        self._clients = clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            body = decode_chat_body(await read_body(scope, receive))
        except BadBody as error:
            await error.reply()(scope, receive, send)
            return
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reply = error_reply(400, f"The body does not fit: {error}.", "invalid_request_error")
            await reply(scope, receive, send)
            return
        identity = self._engine.identity
        if body.model != identity.model:
            message = f"The model {body.model!r} is not served here, but {identity.model!r}."
            await error_reply(404, message, "model_not_found")(scope, receive, send)
            return
        client = _client_of(scope, body)
        self._clients.note(client)
        pieces = Pieces()
        on_text = pieces.add if body.stream else _ignore
        job = asyncio.create_task(
            self._scheduler.run(body.request(identity.context_tokens), client=client, on_text=on_text)
        )
        gone = asyncio.create_task(_until_gone(receive))
        gone.add_done_callback(lambda _: job.cancel())
        try:
            if body.stream:
                await self._stream(body, job, pieces, send)
            else:
                await asyncio.wait({job})
                if not job.cancelled():
                    await self._whole(job, scope, receive, send)
        finally:
            self._count(job)
            gone.cancel()
            job.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone

    async def _whole(self, job: asyncio.Task[Completion], scope: Scope, receive: Receive, send: Send) -> None:
        error = job.exception()
        if error is not None:
            await failure_reply(error)(scope, receive, send)
            return
        completion = job.result()
        message = {"role": "assistant", "content": completion.text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": completion.finish_reason, "logprobs": None}
        answer = self._frame("chat.completion") | {"choices": [choice], "usage": _usage(completion)}
        await json_reply(answer)(scope, receive, send)

    async def _stream(
        self, body: ChatBody, job: asyncio.Task[Completion], pieces: Pieces, send: Send
    ) -> None:
        """The status is sent with the first piece, so that a request that fails before has its own."""
        frame = self._frame("chat.completion.chunk")
        with_usage = bool(body.stream_options and body.stream_options.include_usage)
        if with_usage:
            frame["usage"] = None
        begun = False
        job.add_done_callback(pieces.end)
        while (text := await pieces.next()) is not None:
            events = b"" if begun else _event(frame, _delta({"role": "assistant", "content": ""}))
            events += _event(frame, _delta({"content": text}))
            if not begun:
                await _start_stream(send)
                begun = True
            await _send_body(send, events, more=True)
        if job.cancelled():
            return
        error = job.exception()
        if error is not None and not begun:
            await _send_response(failure_reply(error), send)
            return
        if not begun:
            await _start_stream(send)
        if error is not None:
            _, message, code, _ = describe(error)
            await _send_body(send, b"data: " + encode(error_body(message, code)) + b"\n\n", more=False)
            return
        completion = job.result()
        events = _event(frame, _delta({}, completion.finish_reason))
        if with_usage:
            events += _event(frame, {"choices": [], "usage": _usage(completion)})
        await _send_body(send, events + b"data: [DONE]\n\n", more=False)

    def _frame(self, kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "object": kind,
            "created": int(time.time()),
            "model": self._engine.identity.model,
        }

    def _count(self, job: asyncio.Task[Completion]) -> None:
        if not job.done() or job.cancelled():
            self._metrics.given_up()
        elif (error := job.exception()) is not None:
            self._metrics.failed(describe(error)[2])
        else:
            self._metrics.completed(job.result())


def describe(error: BaseException) -> tuple[int, str, str, float | None]:
    """Status, message, code and Retry-After seconds for what a request can end with."""
    match error:
        case QueueFull():
            return 429, str(error), "queue_full", error.retry_after
        case Stopping():
            return 503, "The engine is stopping.", "engine_stopping", 1.0
        case EngineUnavailable():
            return 503, str(error), "engine_unavailable", None
        case RequestTooLong():
            return 400, str(error), "context_length_exceeded", None
        case EngineFailed():
            return 500, str(error), "request_failed", None
        case _:
            return 500, f"Internal error: {type(error).__name__}: {error}", "internal_error", None


def failure_reply(error: BaseException) -> Response:
    """The error response for what a request ended with."""
    status, message, code, retry_after = describe(error)
    return error_reply(status, message, code, retry_after=retry_after)


def _client_of(scope: Scope, body: ChatBody) -> str:
    for name, value in scope["headers"]:
        if name == _CLIENT_HEADER:
            return str(value.decode("latin-1"))[:64]
    return (body.user or "")[:64]


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start_stream(send: Send) -> None:
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _send_body(send: Send, data: bytes, *, more: bool) -> None:
    """Raises TimeoutError where the reader does not take what it asked for."""
    async with asyncio.timeout(_SLOWEST_READER_SECONDS):
        await send({"type": "http.response.body", "body": data, "more_body": more})


async def _send_response(response: Response, send: Send) -> None:
    await send(
        {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    )
    await send({"type": "http.response.body", "body": bytes(response.body)})


def _event(frame: dict[str, Any], rest: dict[str, Any]) -> bytes:
    return b"data: " + encode(frame | rest) + b"\n\n"


def _delta(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}]}


def _usage(completion: Completion) -> dict[str, int]:
    return {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.new_tokens,
        "total_tokens": completion.prompt_tokens + completion.new_tokens,
    }


def _ignore(_: str) -> None:
    """Nobody streams; the scheduler itself notes the progress."""
