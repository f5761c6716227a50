"""64 clients at one engine process: nothing lost, nothing doubled."""

import asyncio
import collections

import pytest

from tests.engines.host.engines import Engines
from tests.engines.host.scripted_host import client
from tests.engines.host.test_shared_engine import NAME, ask

CLIENTS, SECTIONS = 64, 2000


@pytest.mark.timeout(180)
async def test_64_clients_with_2000_sections_lose_and_double_nothing(engines: Engines) -> None:
    clients = [client(NAME, seconds_per_word=0.0) for _ in range(CLIENTS)]
    seen: collections.Counter[str] = collections.Counter()

    async def one(number: int) -> None:
        completion = await clients[number % CLIENTS].generate(ask(f"section {number}"))
        seen[completion.text] += 1

    await asyncio.gather(*(one(number) for number in range(SECTIONS)))
    assert seen == collections.Counter(f"section {number}." for number in range(SECTIONS))
    assert len(engines.loads()) == 1
    connection = clients[0]._connection
    assert connection is not None
    health = await connection.health()
    assert (health["running"], health["waiting"], health["clients"]) == (0, 0, CLIENTS)
    assert health["memory_bytes"] < 250 * 2**20
    for each in clients:
        await each.aclose()
