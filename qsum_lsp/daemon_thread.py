"""Work that blocks, for an event loop, in a thread that the end of the process does not wait for."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")


async def in_daemon_thread(function: Callable[[], _T], *, name: str) -> _T:
    """What ``function`` returns; raises what it raises. It goes on where the wait is given up.

    The end of the process would wait for a thread of asyncio's, for as long as what it waits for is silent.
    """
    done: concurrent.futures.Future[_T] = concurrent.futures.Future()
    done.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = function()
        except BaseException as error:
            done.set_exception(error)
        else:
            done.set_result(result)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await asyncio.wrap_future(done)
