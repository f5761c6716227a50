"""What the engine's thread tells event loops."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from qsum_lsp.engines.torch import TorchEngine
from qsum_lsp.engines.torch.outbox import Outbox
from tests.engines.torch.tiny import options, reference, request, tokens, words


def _from_another_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


async def test_a_loop_is_woken_once_and_told_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, outbox, told = asyncio.get_running_loop(), Outbox(), list[int]()
    wakes = []
    real = loop.call_soon_threadsafe
    monkeypatch.setattr(loop, "call_soon_threadsafe", lambda *call: (wakes.append(1), real(*call)))
    for number in range(100):
        outbox.add(loop, lambda number=number: told.append(number))
    _from_another_thread(outbox.send)
    _from_another_thread(outbox.send)
    await asyncio.sleep(0.01)
    assert told == list(range(100))
    assert len(wakes) == 1


async def test_a_call_that_fails_keeps_nobody_from_being_told() -> None:
    loop, outbox, told = asyncio.get_running_loop(), Outbox(), list[str]()
    reported: list[BaseException | None] = []
    loop.set_exception_handler(lambda _, context: reported.append(context.get("exception")))
    outbox.add(loop, lambda: 1 // 0)  # type: ignore[arg-type,return-value]
    outbox.add(loop, lambda: told.append("told"))
    _from_another_thread(outbox.send)
    await asyncio.sleep(0.01)
    loop.set_exception_handler(None)
    assert told == ["told"]
    assert [type(error) for error in reported] == [ZeroDivisionError]


def test_a_closed_loop_is_passed_over() -> None:
    closed, told = asyncio.new_event_loop(), list[str]()
    closed.close()

    async def main() -> None:
        outbox = Outbox()
        outbox.add(closed, lambda: told.append("closed"))
        outbox.add(asyncio.get_running_loop(), lambda: told.append("open"))
        _from_another_thread(outbox.send)
        await asyncio.sleep(0.01)

    asyncio.run(main())
    assert told == ["open"]


async def test_answers_that_end_together_wake_the_loop_together(
    qwen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = TorchEngine(options(qwen))
    await engine.load()
    sends: list[int] = []
    real = Outbox.send

    def send(self: Outbox) -> None:
        waiting = sum(map(len, self._calls.values()))
        if waiting:
            sends.append(waiting)
        real(self)

    monkeypatch.setattr(Outbox, "send", send)
    prompts = [words(20, seed) for seed in range(12)]
    wanted = [reference(qwen, prompt, 8) for prompt in prompts]
    ends = [len(answer) for answer in wanted]
    done = await asyncio.gather(*(engine.generate(request(prompt, 8)) for prompt in prompts))
    assert [tokens(answer) for answer in done] == wanted
    assert sum(sends) == 12
    assert max(sends) >= min(12, max(ends.count(end) for end in set(ends)) // 2)
    await engine.aclose()
