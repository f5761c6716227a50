"""llama.cpp's HTTP server, as far as the engine uses it."""

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx

from qsum_lsp.engines.protocol import EngineFailed, RequestTooLong


@dataclass(frozen=True, slots=True)
class Piece:
    """The next text of an answer, and how many tokens the answer has with it. ``ended`` says why the last one is the last."""

    text: str
    new_tokens: int
    ended: Literal["stop", "length"] | None = None


class LlamaClient:
    """One server. All methods raise httpx.TransportError where it is gone, EngineFailed where it refuses."""

    def __init__(self, url: str, api_key: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=httpx.Timeout(None, connect=10.0),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8),
            trust_env=False,  # a proxy has no business with a loopback port
        )

    async def aclose(self) -> None:
        """Close all connections; what they asked for is given up."""
        await self._http.aclose()

    async def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of ``text``; with ``special``, names of special tokens in it become those tokens."""
        answer = await self._post(
            "/tokenize", {"content": text, "add_special": False, "parse_special": special}
        )
        tokens: list[int] = answer["tokens"]
        return tokens

    async def apply_template(self, messages: Sequence[dict[str, str]]) -> str:
        """The chat as the model's own template writes it, thinking off, open for the assistant's answer."""
        answer = await self._post(
            "/apply-template",
            {"messages": list(messages), "chat_template_kwargs": {"enable_thinking": False}},
        )
        prompt: str = answer["prompt"]
        return prompt

    async def evaluate(self, tokens: Sequence[int], *, slot: int) -> None:
        """Bring ``slot`` to hold exactly the state after ``tokens``."""
        await self._post(
            "/completion", {"prompt": list(tokens), "n_predict": 0, "id_slot": slot, "cache_prompt": True}
        )

    async def save_slot(self, slot: int, name: str) -> None:
        """Write the state of ``slot`` to file ``name`` of the server's state folder."""
        await self._post(f"/slots/{slot}?action=save", {"filename": name})

    async def restore_slot(self, slot: int, name: str) -> None:
        """Bring ``slot`` back to a saved state."""
        await self._post(f"/slots/{slot}?action=restore", {"filename": name})

    async def complete(
        self, tokens: Sequence[int], *, slot: int, max_new_tokens: int
    ) -> AsyncGenerator[Piece, None]:
        """Continue ``tokens`` greedily on ``slot``. Leaving the iteration stops the decoding.

        The server sends whole characters only. It also reports each batch of the prompt, as an empty piece, which is
        how it notices early that nobody listens any more.
        """
        body = {
            "prompt": list(tokens),
            "n_predict": max_new_tokens,
            "id_slot": slot,
            "cache_prompt": True,
            "stream": True,
            "return_progress": True,
            "temperature": 0.0,
            "samplers": ["temperature"],
        }
        async with self._http.stream("POST", "/completion", json=body) as response:
            if response.status_code != 200:
                raise _refusal(await response.aread())
            async for line in response.aiter_lines():
                if not line.startswith("data: "):
                    continue
                event = json.loads(line.removeprefix("data: "))
                if "error" in event:
                    raise _refusal(line.removeprefix("data: ").encode())
                yield Piece(event.get("content", ""), event.get("tokens_predicted", 0), _ended(event))

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = await self._http.post(path, json=body)
        if response.status_code != 200:
            raise _refusal(response.content)
        answer: dict[str, Any] = response.json()
        return answer


def _ended(event: dict[str, Any]) -> Literal["stop", "length"] | None:
    if not event.get("stop"):
        return None
    return "length" if event["stop_type"] == "limit" else "stop"


def _refusal(body: bytes) -> EngineFailed:
    try:
        error = json.loads(body)["error"]
        message, kind = str(error["message"]), str(error.get("type", ""))
    except (ValueError, KeyError, TypeError):
        message, kind = body.decode("utf-8", "replace")[:200], ""
    if kind == "exceed_context_size_error":
        return RequestTooLong(message)
    return EngineFailed(f"llama.cpp refused the request: {message}")
