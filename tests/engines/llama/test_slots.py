"""Slots: who is served next, and where."""

import asyncio

import pytest

from qsum_lsp.engines.llama.slots import Slot, Slots, common_prefix
from qsum_lsp.engines.protocol import Priority


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("first", "second", "length"),
    [([], [], 0), ([1, 2, 3], [1, 2], 2), ([1, 2, 3], [1, 5, 3], 1), ([4], [1], 0), ((7, 8), [7, 8], 2)],
)
def test_common_prefix(first: list[int], second: list[int], length: int) -> None:
    assert common_prefix(first, second) == length


async def test_lowest_priority_value_first_and_oldest_first_within_it() -> None:
    slots = Slots(2)
    held = await slots.acquire([], Priority.BATCH)
    served: list[str] = []

    async def want(name: str, priority: Priority) -> None:
        slot = await slots.acquire([], priority)
        served.append(name)
        slots.release(slot)

    wanted = [
        ("batch", Priority.BATCH),
        ("document 1", Priority.DOCUMENT),
        ("document 2", Priority.DOCUMENT),
        ("visible", Priority.VISIBLE),
    ]
    tasks = []
    for name, priority in wanted:
        tasks.append(asyncio.create_task(want(name, priority)))
        await settle()
    assert (slots.running, slots.waiting) == (1, 4)
    slots.release(held)
    await asyncio.gather(*tasks)
    assert served == ["visible", "document 1", "document 2", "batch"]
    assert (slots.running, slots.waiting) == (0, 0)


async def test_a_hover_gets_the_kept_slot_while_a_page_holds_the_others() -> None:
    slots = Slots(3)
    for _ in range(2):
        await slots.acquire([], Priority.BATCH)
    third = asyncio.create_task(slots.acquire([], Priority.VISIBLE))
    await settle()
    assert not third.done()
    assert (await slots.acquire([], Priority.HOVER)).number == 0
    third.cancel()


async def test_the_slot_that_knows_most_of_the_prompt_is_chosen() -> None:
    slots = Slots(4)
    taken = [await slots.acquire([], Priority.BATCH) for _ in range(3)]
    for slot, tokens in zip(taken, ([1, 2], [1, 2, 3, 4], [9]), strict=True):
        slot.tokens = tokens
        slots.release(slot)
    assert await slots.acquire([1, 2, 3, 7], Priority.BATCH) is taken[1]
    assert await slots.acquire([1, 2, 3, 7], Priority.BATCH) is taken[0]


async def test_a_cancelled_wait_is_skipped() -> None:
    slots = Slots(2)
    held = await slots.acquire([], Priority.BATCH)
    first = asyncio.create_task(slots.acquire([], Priority.BATCH))
    second = asyncio.create_task(slots.acquire([], Priority.BATCH))
    await settle()
    first.cancel()
    await settle()
    assert slots.waiting == 1
    slots.release(held)
    assert await second is held


async def test_a_slot_granted_to_a_task_that_is_cancelled_at_that_moment_is_not_lost() -> None:
    slots = Slots(2)
    held = await slots.acquire([], Priority.BATCH)
    unlucky = asyncio.create_task(slots.acquire([], Priority.BATCH))
    await settle()
    slots.release(held)  # grants
    unlucky.cancel()  # before the task could take it
    with pytest.raises(asyncio.CancelledError):
        await unlucky
    assert slots.running == 0
    assert isinstance(await asyncio.wait_for(slots.acquire([], Priority.BATCH), 5), Slot)


async def test_fail_waiting() -> None:
    slots = Slots(2)
    await slots.acquire([], Priority.BATCH)
    waiting = asyncio.create_task(slots.acquire([], Priority.BATCH))
    await settle()
    slots.fail_waiting(RuntimeError("closed"))
    with pytest.raises(RuntimeError, match="closed"):
        await waiting
