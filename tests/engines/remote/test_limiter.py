"""How many requests the limiter comes to have under way, on a clock that jumps to what happens next."""

import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from qsum_lsp.engines.protocol import Priority
from qsum_lsp.engines.remote.limiter import AdaptiveLimiter

_T = TypeVar("_T")
_WAITING = 64


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: its clock goes on instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.clock = _JumpingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def _on_jumping_clock(coroutine: Coroutine[Any, Any, _T]) -> _T:
    with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
        return runner.run(coroutine)


async def _serve(
    limiter: AdaptiveLimiter, *, slots: int, requests: int, seed: int, stalls: bool = False
) -> None:
    """Requests at a server that works on ``slots`` at once; with ``stalls`` this process stands still at times."""
    chosen = random.Random(seed)  # noqa: S311
    at_work = asyncio.Semaphore(slots)
    ahead = asyncio.Semaphore(_WAITING)

    async def request() -> None:
        tokens = chosen.randint(15, 40)
        async with limiter.slot(Priority.BATCH) as admitted_at:
            async with at_work:
                await asyncio.sleep(tokens * chosen.uniform(0.02, 0.03))
            limiter.succeeded(200 + tokens, admitted_at)
        ahead.release()

    loop = asyncio.get_running_loop()
    assert isinstance(loop, _JumpingLoop)
    async with asyncio.TaskGroup() as group:
        for _ in range(requests):
            await ahead.acquire()
            if stalls and chosen.random() < 0.01:
                loop.clock.now += chosen.uniform(0.3, 1.5)
            group.create_task(request())


@pytest.mark.parametrize("seed", range(10))
def test_all_that_waits_is_sent_to_a_server_that_takes_it_although_this_process_stalls(seed: int) -> None:
    limiter = AdaptiveLimiter(start=8, most=256)
    _on_jumping_clock(_serve(limiter, slots=1000, requests=1000, seed=seed, stalls=True))
    assert limiter.limit >= _WAITING


@pytest.mark.parametrize("seed", range(10))
def test_a_server_that_only_queues_is_not_sent_everything(seed: int) -> None:
    limiter = AdaptiveLimiter(start=8, most=256)
    _on_jumping_clock(_serve(limiter, slots=4, requests=1000, seed=seed))
    assert limiter.limit <= 32


def test_it_comes_back_from_one_broken_connection() -> None:
    async def work() -> AdaptiveLimiter:
        limiter = AdaptiveLimiter(start=32, most=256)
        async with limiter.slot(Priority.BATCH) as admitted_at:
            limiter.overloaded(admitted_at)
        assert limiter.limit == 16
        await _serve(limiter, slots=1000, requests=1500, seed=1)
        return limiter

    assert _on_jumping_clock(work()).limit > 32
