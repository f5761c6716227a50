"""HTTP connections to one engine process."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx

from qsum_lsp.engines.host.place import EngineRecord
from qsum_lsp.engines.remote.chat_client import BearerKey, ChatClient
from qsum_lsp.engines.remote.failures import ConnectionLost, StatusError

_CONNECT_SECONDS = 10.0
_HEALTH_SECONDS = 30.0
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

    async def count_tokens(self, texts: list[str]) -> list[int]:
        """Tokens of each text. Raises ConnectionLost, StatusError."""
        answer = await self.client.post(f"{self.root}/tokenize", {"texts": texts})
        return [int(count) for count in answer["counts"]]

    async def aclose(self) -> None:
        """Close what is open; nothing is reported."""
        with contextlib.suppress(Exception):
            await self.client.aclose()
