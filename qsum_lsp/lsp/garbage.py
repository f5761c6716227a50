"""Garbage collection: the full one, which takes 30 ms on a long page, waits until the client pauses."""

import gc

PAUSE_SECONDS = 3.0
"""Without a message."""

_RARELY = 1000


def put_off_full_collections() -> None:
    """Leave what is there now out of all collections, and have full ones hardly ever come by themselves."""
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _RARELY)
    gc.freeze()


async def collect() -> None:
    """A full collection; what is left is not looked at again before the next one."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
