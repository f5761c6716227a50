"""One task that several requests wait for, such as a load or a connection."""

import asyncio
from typing import TypeVar

from qsum_lsp.errors import EngineUnavailable

_T = TypeVar("_T")


async def result_of(task: "asyncio.Task[_T]", *, closed: str) -> _T:
    """The result of ``task``, which goes on where one who waits gives up.

    Raises what the task raises, and EngineUnavailable with the text ``closed`` where it was cancelled.
    """
    await asyncio.wait({task})
    if task.cancelled():
        raise EngineUnavailable(closed)
    return task.result()
