"""An OpenAI-compatible server that misbehaves on demand, on a real port."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


class OtherServer:
    """Answers a chat with the prompt's last word; ``faults`` come first, one a request."""

    def __init__(self, *, models: list[dict[str, Any]] | None = None, capacity: int = 1000) -> None:
        self.models = [{"id": "m", "owned_by": "vllm", "max_model_len": 2048}] if models is None else models
        self.faults: list[Response] = []
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.seconds = 0.0
        self.capacity = capacity
        self.running = 0
        self.most_running = 0
        self.given_up = 0
        self.url = ""
        self.app = Starlette(
            routes=[
                Route("/v1/models", self._models),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
            ]
        )

    async def _models(self, request: Request) -> Response:
        self.headers.append(dict(request.headers))
        return JSONResponse({"object": "list", "data": self.models})

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        if self.faults:
            return self.faults.pop(0)
        if self.running >= self.capacity:
            return JSONResponse({"error": {"message": "busy"}}, 429, headers={"Retry-After": "0.05"})
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.running -= 1
        word = body["messages"][-1]["content"].split()[-1]
        usage = {"prompt_tokens": 5, "completion_tokens": 2}
        if body.get("stream"):
            return StreamingResponse(self._events([word, " done"], usage), media_type="text/event-stream")
        choice = {"index": 0, "message": {"role": "assistant", "content": f"{word} done"}}
        return JSONResponse({"choices": [choice | {"finish_reason": "stop"}], "usage": usage})

    async def _events(self, pieces: list[str], usage: dict[str, int]) -> AsyncIterator[str]:
        try:
            for piece in pieces:
                yield sse({"choices": [{"index": 0, "delta": {"content": piece}}]})
                await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        yield sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        yield sse({"choices": [], "usage": usage})
        yield "data: [DONE]\n\n"


def sse(event: dict[str, Any]) -> str:
    """One server-sent event; characters outside ASCII go as they are, as vLLM sends them."""
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n"


def stream_of(*events: str) -> Response:
    """A streaming answer of exactly these events, then the end."""
    return StreamingResponse(iter(events), media_type="text/event-stream")


@asynccontextmanager
async def serving(server: OtherServer, **uvicorn_options: Any) -> AsyncIterator[OtherServer]:
    """Serve on a free port of the loopback interface."""
    listener = socket.create_server(("127.0.0.1", 0))
    scheme = "https" if "ssl_keyfile" in uvicorn_options else "http"
    server.url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(server.app, log_level="error", lifespan="off", **uvicorn_options)
    running = uvicorn.Server(config)
    task = asyncio.create_task(running._serve([listener]))
    try:
        while not running.started:  # noqa: ASYNC110 — uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield server
    finally:
        running.should_exit = True
        running.force_exit = True
        await task
