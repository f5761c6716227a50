"""HTTP connections to one engine process."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from qsum_lsp.engines.host.place import EngineRecord
from qsum_lsp.engines.remote.chat_client import BearerKey, ChatClient
from qsum_lsp.engines.remote.failures import ConnectionLost, StatusError

_CONNECT_SECONDS = 10.0
_HEALTH_SECONDS = 30.0
_MOST_CHARACTERS = 512 * 1024
"""Of one body; six times that, which JSON can make of them, is under the process's limit."""

_KEEP_ALIVE_SECONDS = 20.0  # under the server's, which so never closes a connection that is being used


class Connection:
    """To the process that ``record`` describes."""

    def __init__(self, record: EngineRecord) -> None:
        self.record = record
        unix = record.address.startswith("unix:")
        self.root = "http://localhost" if unix else record.address
        key = BearerKey(record.token) if record.token else None
        # No proxy stands between this process and its own machine, whatever the environment says; nor TLS, whose
        # certificates take 30 ms to read.
        transport = httpx.AsyncHTTPTransport(
            verify=False,
            uds=record.address.removeprefix("unix:") if unix else None,
            limits=httpx.Limits(
                max_connections=None, max_keepalive_connections=64, keepalive_expiry=_KEEP_ALIVE_SECONDS
            ),
        )
        http = httpx.AsyncClient(
            base_url=f"{self.root}/v1",
            auth=key,
            transport=transport,
            timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),  # health checks notice what hangs
            trust_env=False,
        )
        self.client = ChatClient(http, key=key)
        self.users = 0

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Count a request."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1

    async def health(self) -> dict[str, Any]:
        """What ``/health`` tells; the state is ``stalled`` where there is no answer in time, empty where it broke."""
        try:
            health = await self.client.get(f"{self.root}/health", timeout_seconds=_HEALTH_SECONDS)
        except StatusError as error:
            health = error.body
        except ConnectionLost as lost:
            return {"state": "stalled"} if lost.timed_out else {}
        return health if isinstance(health, dict) else {}

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text. Raises ConnectionLost, StatusError."""
        counts = [0] * len(texts)
        for batch in _batches(texts):
            body = {"texts": [piece for _, piece in batch]}
            answer = await self.client.post(f"{self.root}/tokenize", body)
            for (index, _), count in zip(batch, answer["counts"], strict=True):
                counts[index] += int(count)
        return counts

    async def aclose(self) -> None:
        """Close what is open; nothing is reported."""
        with contextlib.suppress(Exception):
            await self.client.aclose()


def _batches(texts: Sequence[str]) -> Iterator[list[tuple[int, str]]]:
    """``texts`` in pieces, each with the index of its text, and as many together as one body takes."""
    batch: list[tuple[int, str]] = []
    room = _MOST_CHARACTERS
    for index, text in enumerate(texts):
        for start in range(0, len(text), _MOST_CHARACTERS):
            piece = text[start : start + _MOST_CHARACTERS]
            if len(piece) > room:
                yield batch
                batch, room = [], _MOST_CHARACTERS
            batch.append((index, piece))
            room -= len(piece)
    if batch:
        yield batch
