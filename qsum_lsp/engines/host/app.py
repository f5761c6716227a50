"""The HTTP interface of an engine: the OpenAI chat API, and what its clients need beside it."""

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qsum_lsp.engines.host.body import BadBody, read_body
from qsum_lsp.engines.host.chat import ChatEndpoint, failure_reply
from qsum_lsp.engines.host.hosted import HostedEngine
from qsum_lsp.engines.host.replies import error_reply, json_reply
from qsum_lsp.engines.protocol import EngineFailed
from qsum_lsp.errors import EngineUnavailable


class _TextsBody(msgspec.Struct):
    """``texts`` are counted together; ``prompt`` alone is the form that vLLM has."""

    texts: list[str] | None = None
    prompt: str | None = None


_texts_decoder = msgspec.json.Decoder(_TextsBody)


def create_app(hosted: HostedEngine) -> Starlette:
    """The application over one engine."""
    engine = hosted.engine

    async def show_models(_: Request) -> Response:
        identity = engine.identity
        entry = {
            "id": identity.model,
            "object": "model",
            "created": 0,
            "owned_by": "qsum",
            "max_model_len": identity.context_tokens,
            "qsum": {"engine": identity.name, "fingerprint": identity.fingerprint},
        }
        return json_reply({"object": "list", "data": [entry]})

    async def show_health(_: Request) -> Response:
        state = hosted.health()
        return json_reply(state, 200 if state["state"] == "ready" else 503)

    async def show_metrics(_: Request) -> Response:
        return Response(hosted.metrics.text(), media_type="text/plain; version=0.0.4")

    async def tokenize(request: Request) -> Response:
        try:
            body = _texts_decoder.decode(await read_body(request.scope, request.receive))
            texts = body.texts if body.prompt is None else [body.prompt]
            if texts is None:
                return error_reply(400, "Either `texts` or `prompt` is needed.", "invalid_request_error")
            await hosted.loaded()
            counts = await engine.count_tokens(texts)
        except BadBody as error:
            return error.reply()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return error_reply(400, f"The body does not fit: {error}.", "invalid_request_error")
        except (EngineUnavailable, EngineFailed) as error:
            return failure_reply(error)
        if body.prompt is not None:
            return json_reply({"count": counts[0], "max_model_len": engine.identity.context_tokens})
        return json_reply({"counts": counts})

    return Starlette(
        routes=[
            Route("/v1/models", show_models),
            Route(
                "/v1/chat/completions",
                ChatEndpoint(engine, hosted.scheduler, hosted.metrics, hosted.clients),
                methods=["POST"],
            ),
            Route("/tokenize", tokenize, methods=["POST"]),
            Route("/health", show_health),
            Route("/metrics", show_metrics),
        ],
        exception_handlers={HTTPException: _refuse},
    )


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 — starlette's registration says so
    return error_reply(error.status_code, f"{error.detail}.", "invalid_request_error")
