"""The OpenAI chat API over httpx, as far as an engine needs it: one call each, no retries, no policy."""

import asyncio
import json
from collections.abc import AsyncIterator, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from qsum_lsp.engines.protocol import Completion, EngineFailed, GenerationRequest, OnText
from qsum_lsp.engines.remote.failures import ConnectionLost, StatusError
from qsum_lsp.engines.remote.retry import parse_retry_after

_LONGEST_MESSAGE = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One entry of ``/v1/models``. ``raw`` is the whole entry."""

    name: str
    owner: str
    context_tokens: int | None
    raw: Mapping[str, Any]


class BearerKey(httpx.Auth):
    """An API key that does not show in reprs, nor in errors once ``redact`` has seen them."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "BearerKey(…)"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Add the Authorization header."""
        request.headers["Authorization"] = f"Bearer {self._key}"
        yield request

    def redact(self, text: str) -> str:
        """``text`` without the key."""
        return text.replace(self._key, "…") if self._key else text


class ChatClient:
    """One server. ``http`` has the API's address, with ``/v1`` where there is one, as its base URL."""

    def __init__(self, http: httpx.AsyncClient, *, key: BearerKey | None = None) -> None:
        self._http = http
        self._key = key

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def chat(
        self,
        request: GenerationRequest,
        *,
        model: str,
        extra: Mapping[str, Any],
        on_text: OnText | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Completion:
        """One chat completion, streamed where ``on_text`` is given.

        ``extra`` are further body fields. Raises ConnectionLost, StatusError, EngineFailed.
        """
        body: dict[str, Any] = {
            "model": model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "max_tokens": request.max_new_tokens,
            "temperature": 0,
            **extra,
        }
        started = asyncio.get_running_loop().time()
        if on_text is None:
            answer = await self.post("chat/completions", body, headers=headers)
            text, finish, usage = _whole_answer(answer)
        else:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
            text, finish, usage = await self._stream(body, on_text, headers)
        return Completion(
            text=text,
            finish_reason=finish,
            prompt_tokens=_whole_number(usage.get("prompt_tokens")),
            new_tokens=_whole_number(usage.get("completion_tokens")),
            seconds=asyncio.get_running_loop().time() - started,
        )

    async def models(self, *, timeout_seconds: float | None = None) -> list[ServedModel]:
        """What the server serves. Raises ConnectionLost, StatusError."""
        answer = await self.get("models", timeout_seconds=timeout_seconds)
        entries = answer.get("data") if isinstance(answer, dict) else None
        return [
            ServedModel(
                name=entry["id"],
                owner=str(entry.get("owned_by") or ""),
                context_tokens=_positive(entry.get("max_model_len")),
                raw=entry,
            )
            for entry in (entries if isinstance(entries, list) else [])
            if isinstance(entry, dict) and isinstance(entry.get("id"), str)
        ]

    async def get(self, path: str, *, timeout_seconds: float | None = None) -> Any:
        """JSON from ``path``, relative to the API or absolute. Raises ConnectionLost, StatusError."""
        return await self._call("GET", path, None, None, timeout_seconds)

    async def post(
        self, path: str, body: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> Any:
        """JSON for ``body``. Raises ConnectionLost, StatusError."""
        return await self._call("POST", path, body, headers, None)

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        timeout_seconds: float | None,
    ) -> Any:
        timeout: Any = httpx.USE_CLIENT_DEFAULT
        if timeout_seconds is not None:
            timeout = httpx.Timeout(timeout_seconds, connect=self._http.timeout.connect)
        try:
            response = await self._http.request(method, path, json=body, headers=headers, timeout=timeout)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._lost(error) from None
        if response.status_code != 200:
            raise self._refused(response.status_code, response.headers, response.content)
        try:
            return response.json()
        except ValueError:
            raise StatusError(502, "the answer is not JSON", code="not_json") from None

    async def _stream(
        self, body: Mapping[str, Any], on_text: OnText, headers: Mapping[str, str] | None
    ) -> tuple[str, Literal["stop", "length"], Mapping[str, Any]]:
        pieces: list[str] = []
        finish: str | None = None
        usage: Mapping[str, Any] = {}
        try:
            async with self._http.stream("POST", "chat/completions", json=body, headers=headers) as response:
                if response.status_code != 200:
                    raise self._refused(response.status_code, response.headers, await response.aread())
                async for event in _events(response):
                    if "error" in event:
                        raise self._error_of(event, 500, None)
                    usage = _usage(event) or usage
                    choices = event.get("choices") or [{}]
                    piece = _text((choices[0].get("delta") or {}).get("content"))
                    finish = choices[0].get("finish_reason") or finish
                    if piece:
                        pieces.append(piece)
                        on_text(piece)
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise self._lost(error) from None
        except (AttributeError, IndexError, KeyError, TypeError):
            raise EngineFailed("the server's stream is not that of the OpenAI chat API") from None
        if finish is None:
            raise ConnectionLost("the stream ended early", may_have_run=True)
        if not usage:
            usage = {"completion_tokens": len(pieces)}
        return "".join(pieces), _finish(finish), usage

    def _lost(self, error: Exception) -> ConnectionLost:
        unreached = isinstance(
            error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.UnsupportedProtocol
        )
        detail = self._redact(str(error)) or type(error).__name__
        return ConnectionLost(
            detail,
            may_have_run=not unreached,
            timed_out=isinstance(error, httpx.TimeoutException),
            certificate="CERTIFICATE_VERIFY_FAILED" in detail,
        )

    def _refused(self, status: int, headers: httpx.Headers, content: bytes) -> StatusError:
        retry_after = parse_retry_after(headers.get("retry-after"))
        try:
            parsed = json.loads(content)
        except ValueError:
            parsed = content.decode("utf-8", "replace")
        if 300 <= status < 400 and (location := headers.get("location")):
            parsed = f"it has moved to {location}"
        return self._error_of(parsed, status, retry_after)

    def _error_of(self, answer: Any, status: int, retry_after: float | None) -> StatusError:
        """The error in any of the forms that servers use: an object, a text, ``detail``, ``message``."""
        error = answer.get("error", answer) if isinstance(answer, dict) else answer
        code = None
        message = error
        if isinstance(error, dict):
            code = error.get("code") or error.get("type")
            message = error.get("message") or error.get("detail") or error
            stated = error.get("code")
            if status == 500 and isinstance(stated, int) and 400 <= stated < 600:
                status = stated  # an error inside a stream that had begun with 200
        text = " ".join(str(message).split())[:_LONGEST_MESSAGE]
        return StatusError(
            status,
            self._redact(text) or "no message",
            code=code if isinstance(code, str) else None,
            retry_after=retry_after,
            body=answer,
        )

    def _redact(self, text: str) -> str:
        return self._key.redact(text) if self._key is not None else text


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """The JSON payloads of a server-sent event stream up to ``[DONE]`` (each event is one data line here).

    Lines end with LF, CR LF as the standard has it; U+2028 and its like are text, unlike in str.splitlines.
    """
    rest = b""
    async for chunk in response.aiter_bytes():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                return
            try:
                event = json.loads(data)
            except ValueError:
                raise EngineFailed("the server's stream holds an event that is not JSON") from None
            if isinstance(event, dict):
                yield event


def _whole_answer(answer: Any) -> tuple[str, Literal["stop", "length"], Mapping[str, Any]]:
    try:
        choice = answer["choices"][0]
        text = _text(choice["message"].get("content"))
        return text, _finish(choice.get("finish_reason")), _usage(answer)
    except (AttributeError, IndexError, KeyError, TypeError):
        raise EngineFailed("the server's answer is not that of the OpenAI chat API") from None


def _text(content: Any) -> str:
    """The text of a message or of the next piece of one; a list has the thoughts of the model in parts of their own."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    if not isinstance(content, str | None):
        raise TypeError
    return content or ""


def _usage(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    usage = answer.get("usage")
    return usage if isinstance(usage, dict) else {}


def _finish(reason: str | None) -> Literal["stop", "length"]:
    return "length" if reason == "length" else "stop"


def _whole_number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def server_root(base_url: str) -> str:
    """The server's address without the API's ``/v1``: where /tokenize, /props and /health are."""
    stripped = base_url.rstrip("/")
    return stripped.removesuffix("/v1")


def count_from_tokenize(answer: Any) -> int | None:
    """The number of tokens in an answer of vLLM's or llama-server's /tokenize."""
    if not isinstance(answer, dict):
        return None
    count = answer.get("count")
    if isinstance(count, int):
        return count
    tokens: Sequence[Any] | Any = answer.get("tokens")
    return len(tokens) if isinstance(tokens, list) else None
