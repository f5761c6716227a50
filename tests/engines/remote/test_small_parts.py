"""The small parts: back-off, Retry-After, token estimates, admission order."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from qsum_lsp.engines.protocol import Priority
from qsum_lsp.engines.remote.estimate import estimate_tokens
from qsum_lsp.engines.remote.failures import ConnectionLost, StatusError
from qsum_lsp.engines.remote.limiter import AdaptiveLimiter
from qsum_lsp.engines.remote.retry import ATTEMPTS, Patience, delay_seconds, parse_retry_after


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("3", 3.0), ("0.5", 0.5), ("-4", 0.0), ("99999", 120.0), ("soon", None), ("nan", None)],
)
def test_retry_after_in_seconds(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value) == seconds


@pytest.mark.parametrize("year_and_zone", ["99999999999 GMT", "2026 +99999999999999999999"])
def test_a_date_beyond_all_dates_is_none(year_and_zone: str) -> None:
    year, zone = year_and_zone.split()
    assert parse_retry_after(f"Mon, 30 Nov {year} 00:00:00 {zone}") is None


def test_retry_after_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    parsed = parse_retry_after(later)
    assert parsed is not None
    assert 15 < parsed <= 20


def test_back_off_doubles_its_spread_up_to_a_bound_and_adds_to_what_the_server_asked() -> None:
    spreads = [delay_seconds(attempt, None, uniform=lambda low, high: high) for attempt in range(10)]
    assert spreads[:4] == [0.5, 1.0, 2.0, 4.0]
    assert spreads[-1] == 30.0
    assert delay_seconds(0, 7.0, uniform=lambda low, high: low) == 7.0


@pytest.mark.parametrize(
    ("text", "tokens"),  # counted with the tokenizer of Qwen2.5
    [
        ("The quick brown fox jumps over the lazy dog.", 10),
        ("日本語のテキストを要約します。これは試験です。", 17),
        ("Привет мир, это проверка работы токенизатора на русском языке.", 23),
        ("😀👍🏽👨‍👩‍👧‍👦", 13),
        ("0123456789abcdef" * 8, 88),
        ("한국어 문장입니다 테스트", 9),
        ("नमस्ते दुनिया यह एक परीक्षण है", 29),
        ("", 0),
    ],
)
def test_the_estimate_is_an_upper_bound(text: str, tokens: int) -> None:
    assert tokens <= estimate_tokens(text) <= 5 * tokens + 1


async def test_admission_is_by_priority_then_age_and_a_hover_has_room_left() -> None:
    limiter = AdaptiveLimiter(start=1, most=1, hover_reserve=1)
    order: list[str] = []
    release = asyncio.Event()

    async def request(name: str, priority: Priority) -> None:
        async with limiter.slot(priority):
            order.append(name)
            await release.wait()

    tasks = []
    for name, priority in [
        ("first", Priority.BATCH),
        ("batch", Priority.BATCH),
        ("page", Priority.DOCUMENT),
        ("hover", Priority.HOVER),
        ("late hover", Priority.HOVER),
    ]:
        tasks.append(asyncio.create_task(request(name, priority)))
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == ["first", "hover"]
    release.set()
    await asyncio.gather(*tasks)
    assert order == ["first", "hover", "late hover", "page", "batch"]
    assert limiter.running == limiter.waiting == 0


async def test_a_cancelled_wait_leaves_no_trace() -> None:
    limiter = AdaptiveLimiter(start=1, most=1)

    async def wait() -> None:
        async with limiter.slot(Priority.BATCH):
            pytest.fail("admitted over the limit")

    async with limiter.slot(Priority.BATCH):
        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        assert limiter.waiting == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert limiter.waiting == 0
    async with limiter.slot(Priority.BATCH):
        assert limiter.running == 1


async def test_one_wave_of_overload_halves_once() -> None:
    limiter = AdaptiveLimiter(start=8, most=8)
    async with limiter.slot(Priority.BATCH) as first, limiter.slot(Priority.BATCH) as second:
        await asyncio.sleep(0.001)
        limiter.overloaded(first)
        limiter.overloaded(second)
    assert limiter.limit == 4


def test_who_is_not_there_is_tried_twice_and_who_is_busy_longer() -> None:
    refused = ConnectionLost("refused", may_have_run=False)
    patience = Patience()
    assert patience.pause_after(refused) == 0.3
    assert patience.pause_after(refused) is None
    broken, busy = ConnectionLost("broken", may_have_run=True), StatusError(503, "busy", retry_after=2.0)
    for passing in (broken, busy):
        patience = Patience()
        pauses = [patience.pause_after(passing) for _ in range(ATTEMPTS)]
        assert pauses[-1] is None
        assert all(pause is not None for pause in pauses[:-1])
    patience = Patience()
    assert patience.pause_after(broken) is not None
    assert patience.pause_after(refused) == 0.3  # it ended, and may come back
    assert patience.pause_after(refused) is None
    assert Patience().pause_after(StatusError(401, "no")) is None
    assert Patience().pause_after(ConnectionLost("who?", may_have_run=False, certificate=True)) is None
