"""Requests and commands on their way to the engine's thread."""

import asyncio
import threading
import time

from qsum_lsp.engines.protocol import GenerationRequest, Message, Priority
from qsum_lsp.engines.torch.inbox import Inbox
from qsum_lsp.engines.torch.outbox import Outbox
from qsum_lsp.engines.torch.submission import Submission


def _submission(source: str, priority: Priority = Priority.BATCH) -> Submission:
    loop = asyncio.get_running_loop()
    message = Message("user", source)
    request = GenerationRequest(messages=(message,), source=source, max_new_tokens=8, priority=priority)
    return Submission(request, None, loop, loop.create_future(), 0.0, Outbox())


def _sources(submissions: list[Submission]) -> list[str]:
    return [submission.request.source for submission in submissions]


async def test_the_most_urgent_are_taken_first_then_the_oldest() -> None:
    inbox = Inbox()
    for source in ("a", "b"):
        inbox.put(_submission(source))
    assert inbox.receive(0.0) == []
    inbox.put(_submission("hover", Priority.HOVER))
    inbox.put(_submission("c"))
    assert inbox.receive(0.0) == []
    assert inbox.waiting == 4
    assert _sources(inbox.take(3)) == ["hover", "a", "b"]
    assert _sources(inbox.take(3)) == ["c"]
    assert inbox.empty


async def test_what_was_cancelled_takes_no_place() -> None:
    inbox = Inbox()
    given_up, wanted = _submission("given up"), _submission("wanted")
    inbox.put(given_up)
    inbox.put(wanted)
    inbox.receive(0.0)
    given_up.future.cancel()
    assert inbox.take(1) == [wanted]


async def test_commands_come_in_their_order_and_apart_from_requests() -> None:
    inbox, done = Inbox(), list[int]()
    inbox.put(lambda: done.append(1))
    inbox.put(_submission("between"))
    inbox.put(lambda: done.append(2))
    assert not inbox.empty
    for command in inbox.receive(None):
        command()
    assert done == [1, 2]
    assert _sources(inbox.take(8)) == ["between"]


async def test_waits_for_the_first_only() -> None:
    inbox = Inbox()
    began = time.monotonic()
    assert inbox.receive(0.05) == []
    assert time.monotonic() - began >= 0.05
    threading.Timer(0.05, inbox.put, [_submission("late")]).start()
    assert inbox.receive(None) == []
    assert _sources(inbox.take(1)) == ["late"]
