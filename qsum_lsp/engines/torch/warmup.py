"""Getting faster beside the work: steps are compiled on a thread of their own and used once they are ready."""

import contextlib
import logging
import queue
import threading
from collections.abc import Callable

import torch

from qsum_lsp.engines.torch.steps import StepKey

_log = logging.getLogger(__name__)


class WarmUp:
    """Compiles the steps it is asked for, one after the other, and says which are ready.

    A step that fails to compile is never ready, so the engine goes on in eager mode; ``failure`` says why.
    """

    def __init__(
        self,
        rehearse: Callable[[StepKey], None],
        device: torch.device,
        *,
        prefill: Callable[[], None] | None,
    ) -> None:
        self._rehearse, self._prefill, self._device = rehearse, prefill, device
        self._asked: dict[StepKey, None] = {}
        self._ready: set[StepKey] = set()
        self._queue: queue.SimpleQueue[StepKey | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="qsum-warm-up", daemon=True)
        self._started = False
        self._closing = False
        self.failure: str | None = None
        self.prefill_ready = False

    def ask(self, key: StepKey) -> None:
        """Have ``key`` compiled, if that was not asked for before."""
        if key not in self._asked:
            self._asked[key] = None
            self._queue.put(key)

    def begin(self) -> None:
        """Start compiling. Not before the first requests are served: it would make those wait."""
        if not self._started:
            self._started = True
            self._thread.start()

    def ready(self, key: StepKey) -> bool:
        """True once ``key`` may be run without compiling anything."""
        return key in self._ready

    @property
    def begun(self) -> bool:
        """True once compiling has started."""
        return self._started

    @property
    def pending(self) -> int:
        """What was asked for and is not ready: steps, and the prefill that is compiled after the first."""
        if self.failure:
            return 0
        prefill = bool(self._asked) and self._prefill is not None and not self.prefill_ready
        return len(self._asked) - len(self._ready) + prefill

    def ready_keys(self) -> list[StepKey]:
        """All that is ready, in the order in which it was asked for."""
        return [key for key in list(self._asked) if key in self._ready]

    def give_up(self, key: StepKey, error: Exception) -> None:
        """Never offer ``key``: the engine serves such batches in eager mode."""
        _log.warning("Step %s cannot be optimised: %s", key, error, exc_info=error)
        # the first line of torch.compile's errors says no more than that there is one
        self.failure = " ".join(f"{type(error).__name__}: {error}".splitlines()[:2])
        self._ready.discard(key)

    def close(self) -> None:
        """Stop after the step under way."""
        self._closing = True
        self._queue.put(None)
        if self._started:
            self._thread.join()

    def _work(self) -> None:
        while (key := self._queue.get()) is not None and not self._closing:
            try:
                self._compile(key)
            except Exception as error:  # a compiler can fail in any way, and once only
                _log.info("Step %s is compiled once more", key, exc_info=error)
                try:
                    self._compile(key)
                except Exception as again:  # eager mode still serves
                    self.give_up(key, again)

    def _compile(self, key: StepKey) -> None:
        with torch.inference_mode(), self._stream():
            self._rehearse(key)
            self._ready.add(key)
            if self._prefill is not None and not self.prefill_ready:
                self._prefill()
                self.prefill_ready = True

    def _stream(self) -> contextlib.AbstractContextManager[object]:
        if self._device.type != "cuda":
            return contextlib.nullcontext()
        return torch.cuda.stream(torch.cuda.Stream(self._device))
