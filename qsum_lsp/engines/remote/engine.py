"""An engine behind any OpenAI-compatible server: vLLM, SGLang, llama-server, Ollama, a provider."""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from qsum_lsp import home
from qsum_lsp.engines.protocol import (
    Completion,
    EngineFailed,
    EngineIdentity,
    EngineStatus,
    GenerationRequest,
    OnText,
    Priority,
    RequestTooLong,
)
from qsum_lsp.engines.remote.estimate import estimate_tokens
from qsum_lsp.engines.remote.failures import ConnectionLost, StatusError
from qsum_lsp.engines.remote.limiter import AdaptiveLimiter
from qsum_lsp.engines.remote.resume import resumable
from qsum_lsp.engines.remote.retry import Patience
from qsum_lsp.engines.shared_task import result_of
from qsum_lsp.errors import EngineUnavailable, UsageError
from qsum_lsp.http_environment import UnusableEnvironment, from_environment
from qsum_lsp.settings.values import Settings

if TYPE_CHECKING:
    from qsum_lsp.engines.remote.chat_client import ChatClient, ServedModel

_log = logging.getLogger(__name__)

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 300.0
_LIST_SECONDS = 20.0  # for what no model has to be asked
_START_PARALLEL = 8
_MOST_PARALLEL = 256
_MOST_COUNTED = 16  # texts at a time; a long page has thousands of sentences
_CONTEXT_WHERE_UNKNOWN = 4096
_ADVICE = {  # by status; what no other request will fare better with either
    **dict.fromkeys(range(300, 400), "Set `url` to its new address."),
    402: "Check the account that the key belongs to.",
    404: "Check `url` and `model`.",
    **dict.fromkeys((502, 503), "Check whether the server behind it runs."),
}
_TAKES_TEMPLATE_OPTIONS = {"vllm", "sglang", "llamacpp"}


class RemoteEngine:
    """An Engine over HTTP. TLS is verified and proxies are taken from the environment, as httpx does.

    Requests that fail for a passing reason (429, 5xx, a broken connection) are repeated with back-off; a server
    that cannot be reached is tried twice. How many are under way at once adapts to the server.
    """

    def __init__(self, settings: Settings) -> None:
        self._url, self._userinfo = _api_url(settings.url)
        self._key_name = settings.api_key_env
        self._model = settings.model
        self._context_setting = settings.context_tokens
        self._limiter = AdaptiveLimiter(start=_START_PARALLEL, most=_MOST_PARALLEL)
        self._client: ChatClient | None = None
        self._served: asyncio.Task[ServedModel | None] | None = None
        self._tokenizes = True
        self._state = EngineStatus(state="unloaded")
        self._closed = False
        self._fingerprint = hashlib.sha256(f"{self._url}\0{self._model}".encode()).hexdigest()[:16]
        self._context_found = _remembered_context(self._fingerprint)

    def __repr__(self) -> str:
        return f"RemoteEngine({self._url!r}, {self._model!r})"

    @property
    def identity(self) -> EngineIdentity:
        """The server by address and model; its context as set, or as the server said when it was last asked."""
        return EngineIdentity(
            name="remote",
            model=self._model,
            fingerprint=self._fingerprint,
            context_tokens=self._context_setting or self._context_found or _CONTEXT_WHERE_UNKNOWN,
        )

    def status(self) -> EngineStatus:
        """What is under way from here; the server's own load is not known."""
        return EngineStatus(
            state=self._state.state,
            device=urlsplit(self._url).netloc,
            running=self._limiter.running,
            waiting=self._limiter.waiting,
            detail=self._state.detail,
        )

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """By the server's /tokenize where it has one (vLLM, llama-server), else an upper bound."""
        served = await self._server()
        places = asyncio.Semaphore(_MOST_COUNTED)

        async def count(text: str) -> int:
            async with places:
                counted = await self._tokenize(text, served) if self._tokenizes else None
            return estimate_tokens(text) if counted is None else counted

        return await asyncio.gather(*map(count, texts))

    async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        """One chat completion. Raises EngineUnavailable, EngineFailed, RequestTooLong."""
        served = await self._server()
        model = served.name if served is not None else self._model
        extra: dict[str, Any] = {}
        if served is not None and served.owner.lower() in _TAKES_TEMPLATE_OPTIONS:
            extra["chat_template_kwargs"] = {"enable_thinking": False}
        restart = resumable(on_text)

        async def call(client: "ChatClient") -> Completion:
            return await client.chat(request, model=model, extra=extra, on_text=restart())

        return await self._with_retries(call, request.priority)

    async def aclose(self) -> None:
        """Close the connections."""
        self._closed = True
        if self._served is not None:
            self._served.cancel()
        if self._client is not None:
            await self._client.aclose()

    async def _with_retries(
        self, call: "Callable[[ChatClient], Awaitable[Completion]]", priority: Priority
    ) -> Completion:
        patience = Patience()
        while True:
            try:
                async with self._limiter.slot(priority) as admitted_at:
                    try:
                        completion = await call(self._connect())
                    except (StatusError, ConnectionLost) as error:
                        self._note_overload(error, admitted_at)
                        raise
                    self._limiter.succeeded(completion.prompt_tokens + completion.new_tokens, admitted_at)
            except (StatusError, ConnectionLost) as error:
                await self._pause(patience, error)
            else:
                self._state = EngineStatus(state="ready")
                return completion

    async def _pause(self, patience: Patience, error: StatusError | ConnectionLost) -> None:
        """Wait for the next attempt, or raise what ``error`` is to the caller where there is none."""
        pause = patience.pause_after(error)
        if pause is None:
            raise self._final(error) from None
        # what a server says may hold the prompt, which is no matter for the log
        what = f"HTTP {error.status}" if isinstance(error, StatusError) else error
        _log.info("%s: %s; trying again in %.1f s", self._url, what, pause)
        await asyncio.sleep(pause)

    async def _pause_before_listing(self, patience: Patience, error: StatusError | ConnectionLost) -> None:
        """As ``_pause``; a server that cannot say what it serves serves nothing."""
        try:
            await self._pause(patience, error)
        except EngineFailed as failure:
            raise self._unavailable(f"{failure}. Check `url` and the server.") from None

    def _note_overload(self, error: StatusError | ConnectionLost, admitted_at: float) -> None:
        if isinstance(error, StatusError):
            if error.status in {429, 503}:
                self._limiter.overloaded(admitted_at, pause_seconds=error.retry_after or 0.0)
        elif error.may_have_run:
            self._limiter.overloaded(admitted_at)

    def _final(self, error: StatusError | ConnectionLost) -> Exception:
        """The error of the engine protocol for the last failure."""
        where = f"The model server at {self._url}"
        if isinstance(error, StatusError):
            return self._final_answer(where, error)
        if error.may_have_run:
            return EngineFailed(f"{where} broke off: {error}")
        if error.certificate:
            return self._unavailable(
                f"{where} shows a certificate that cannot be verified: {error}. "
                "Set SSL_CERT_FILE to your authority's certificate."
            )
        return self._unavailable(f"{where} cannot be reached: {error}. Check `url` and the server.")

    def _final_answer(self, where: str, error: StatusError) -> Exception:
        message = str(error)
        if error.code == "context_length_exceeded" or re.search(r"context (length|size|window)", message):
            return RequestTooLong(f"{where} refused the request as too long: {message}")
        if error.status in {401, 403}:
            key = f"the key in {self._key_name}" if self._key_name else "a request without a key"
            return self._unavailable(f"{where} refused {key}: {message}. Check `api_key_env`.")
        if error.status == 404 and self._served is not None and self._served.done():
            self._served = None  # its model may be another by now: the next request asks again
        advice = _ADVICE.get(402 if error.code == "insufficient_quota" else error.status)
        if advice and error.code != "not_json":
            return self._unavailable(f"{where} answered: {message}. {advice}")
        return EngineFailed(f"{where} answered: {message}")

    def _unavailable(self, message: str) -> EngineUnavailable:
        self._state = EngineStatus(state="failed", detail=message)
        return EngineUnavailable(message)

    async def _server(self) -> "ServedModel | None":
        """The served model, asked for once; None where the server lists no models."""
        self._connect()
        if self._served is None or (self._served.done() and self._failed(self._served)):
            self._served = asyncio.create_task(self._describe())
            # its error is known, also where nobody waits any more
            self._served.add_done_callback(self._failed)
        return await result_of(self._served, closed="The engine is closed.")

    @staticmethod
    def _failed(task: "asyncio.Task[ServedModel | None]") -> bool:
        return task.cancelled() or task.exception() is not None

    async def _describe(self) -> "ServedModel | None":
        client = self._connect()
        patience = Patience()
        while True:
            try:
                models = await client.models(timeout_seconds=_LIST_SECONDS)
                break
            except StatusError as error:
                if error.status in {404, 405, 501}:
                    return None
                if error.code == "not_json":
                    raise self._unavailable(
                        f"{self._url}/models is a page and not the list of a model server. Check `url`."
                    ) from None
                await self._pause_before_listing(patience, error)
            except ConnectionLost as error:
                await self._pause_before_listing(patience, error)
        served = self._choose(models)
        if served is not None:
            context = served.context_tokens or await self._llama_server_context(served)
            if context and context != self._context_found:
                self._context_found = context
                _remember_context(self._fingerprint, context)
        self._state = EngineStatus(state="ready")
        return served

    def _choose(self, models: "list[ServedModel]") -> "ServedModel | None":
        if not models:
            return None
        for served in models:
            if served.name == self._model:
                return served
        if len(models) == 1 and self._model == Settings().model:
            return models[0]  # the user named no model, and there is but one
        names = ", ".join(sorted(served.name for served in models)[:10])
        raise self._unavailable(
            f"The model server at {self._url} does not serve {self._model!r} but {names}. Set `model`."
        )

    async def _llama_server_context(self, served: "ServedModel") -> int | None:
        """llama-server tells the context of one slot in /props."""
        from qsum_lsp.engines.remote.chat_client import server_root

        if served.owner.lower() != "llamacpp":
            return None
        try:
            properties = await self._connect().get(f"{server_root(self._url)}/props")
            tokens = properties["default_generation_settings"]["n_ctx"]
        except (StatusError, ConnectionLost, KeyError, TypeError):
            return None
        return tokens if isinstance(tokens, int) and tokens > 0 else None

    async def _tokenize(self, text: str, served: "ServedModel | None") -> int | None:
        from qsum_lsp.engines.remote.chat_client import count_from_tokenize, server_root

        body = {
            "model": served.name if served is not None else self._model,
            "prompt": text,  # vLLM
            "content": text,  # llama-server
            "add_special_tokens": False,
            "add_special": False,
        }
        try:
            answer = await self._connect().post(f"{server_root(self._url)}/tokenize", body)
        except StatusError as error:
            self._tokenizes = error.temporary
            return None
        except ConnectionLost:
            return None
        count = count_from_tokenize(answer)
        self._tokenizes = count is not None
        return count

    def _connect(self) -> "ChatClient":
        if self._closed:
            raise EngineUnavailable("The engine is closed.")
        if self._client is None:
            import httpx

            from qsum_lsp.engines.remote.chat_client import BearerKey, ChatClient

            key = BearerKey(self._key()) if self._key_name else None
            auth: httpx.Auth | None = key or (httpx.BasicAuth(*self._userinfo) if self._userinfo else None)
            try:
                url = httpx.URL(self._url)
            except httpx.InvalidURL as error:
                raise self._unavailable(f"`url` is no address: {error}.") from None
            try:
                http = from_environment(
                    lambda: httpx.AsyncClient(
                        base_url=url,
                        auth=auth,
                        timeout=httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS, pool=None),
                        limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
                    )
                )
            except UnusableEnvironment as error:
                raise self._unavailable(
                    f"What the environment says of proxies or certificates cannot be used: {str(error).rstrip('.')}. "
                    "Check ALL_PROXY, HTTP_PROXY, HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE."
                ) from None
            self._client = ChatClient(http, key=key)
        return self._client

    def _key(self) -> str:
        key = os.environ.get(self._key_name or "", "").strip()
        if not key:
            raise self._unavailable(
                f"The environment variable {self._key_name}, which `api_key_env` names, is not set."
            )
        if not key.isascii() or not key.isprintable():
            raise self._unavailable(f"The key in {self._key_name} holds characters that no HTTP header can.")
        return key


def _remembered_context(fingerprint: str) -> int | None:
    """The context that a server told some process: what fits it is planned, and looked up, before it is asked."""
    try:
        context = json.loads(home.server_path(fingerprint).read_text("utf-8"))["context_tokens"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return context if isinstance(context, int) and context > 0 else None


def _remember_context(fingerprint: str, context_tokens: int) -> None:
    """Where it cannot be kept, each process asks anew."""
    path = home.server_path(fingerprint)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        home.write_at_once(path, json.dumps({"context_tokens": context_tokens}))


def _api_url(url: str | None) -> tuple[str, tuple[str, str] | None]:
    """The API's address with ``/v1`` where only a host is given, and apart from it a user name and password."""
    if not url:
        raise UsageError('`engine = "remote"` needs `url`, the address of an OpenAI-compatible server.')
    wrong = UsageError("`url` must be an http or https address such as http://localhost:8000/v1.")
    try:
        parts = urlsplit(url)
        _ = parts.port  # checked only here
    except ValueError:
        raise wrong from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise wrong
    path = parts.path.rstrip("/") or "/v1"
    host = parts.netloc.rpartition("@")[2]
    userinfo = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return urlunsplit((parts.scheme, host, path, "", "")), userinfo
