"""Recording of CUDA graphs."""

import contextlib
from collections.abc import Callable

import torch

Pool = tuple[int, int]


def record(launch: Callable[[], None], pool: Pool | None, device: torch.device) -> torch.cuda.CUDAGraph:
    """What ``launch`` launches, as a graph whose memory comes from ``pool``; it must have run before.

    Unlike ``torch.cuda.graph`` this collects no garbage and empties no cache, so it takes milliseconds, and other
    threads may go on using the device. Raises OutOfMemoryError.
    """
    graph = torch.cuda.CUDAGraph()
    torch.cuda.current_stream().synchronize()
    with torch.cuda.stream(torch.cuda.Stream(device)):
        graph.capture_begin(pool=pool, capture_error_mode="thread_local")
        try:
            launch()
        except BaseException:
            with contextlib.suppress(RuntimeError):
                graph.capture_end()
            raise
        graph.capture_end()
    return graph
