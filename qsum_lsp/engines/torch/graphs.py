"""Recording of CUDA graphs."""

import contextlib
from collections.abc import Callable

import torch

Pool = tuple[int, int]


def record(launch: Callable[[], None], pool: Pool | None, stream: torch.cuda.Stream) -> torch.cuda.CUDAGraph:
    """What ``launch`` launches, as a graph whose memory comes from ``pool``; it must have run before.

    Graphs recorded on one ``stream`` share cuBLAS's workspace for it, so they must not run beside each other.

    Unlike ``torch.cuda.graph`` this collects no garbage and empties no cache, so it takes milliseconds, and other
    threads may go on using the device. Raises OutOfMemoryError.
    """
    graph = torch.cuda.CUDAGraph()
    torch.cuda.current_stream().synchronize()
    with torch.cuda.stream(stream):
        graph.capture_begin(pool=pool, capture_error_mode="thread_local")
        try:
            launch()
        except BaseException:
            with contextlib.suppress(RuntimeError):
                graph.capture_end()
            raise
        graph.capture_end()
    return graph
