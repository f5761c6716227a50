"""The engine as the rest of qsum sees it: asynchronous in front of the thread that owns the device."""

import asyncio
from collections.abc import Sequence

import torch

from qsum_lsp.engines.protocol import Completion, EngineIdentity, EngineStatus, GenerationRequest, OnText
from qsum_lsp.engines.torch.device_thread import CLOSED, DeviceThread
from qsum_lsp.engines.torch.options import TorchOptions
from qsum_lsp.engines.torch.tokenizer import ChatTokenizer
from qsum_lsp.errors import EngineUnavailable


class TorchEngine:
    """Qwen, Llama and other models on PyTorch. Loads with the first request and stays warm until ``aclose``."""

    def __init__(self, options: TorchOptions) -> None:
        self.options = options
        self.device_thread = DeviceThread(options)
        self._closed = False

    @property
    def identity(self) -> EngineIdentity:
        """See Engine."""
        return self.device_thread.identity

    @property
    def warming(self) -> bool:
        """True while steps are still being optimised beside the work, or nothing is loaded yet."""
        return self.device_thread.warming

    def status(self) -> EngineStatus:
        """See Engine."""
        thread = self.device_thread
        loaded, scheduler, runner = thread.loaded, thread.scheduler, thread.runner
        if thread.failure is not None:
            return EngineStatus(state="failed", detail=str(thread.failure))
        if loaded is None or scheduler is None:
            return EngineStatus(state="loading" if thread.started else "unloaded")
        detail = loaded.description
        if runner is not None:
            failure = runner.warm_up.failure
            if failure:
                detail += f"; eager mode only, because compiling failed: {failure}"
            elif runner.warming:
                detail += "; getting faster"
        cuda = loaded.device.type == "cuda"
        return EngineStatus(
            state="ready",
            device=str(loaded.device),
            running=scheduler.running,
            waiting=thread.waiting,
            slots=self.options.max_batch,
            memory_bytes=torch.cuda.memory_reserved(loaded.device) if cuda else None,
            tokens_per_second=thread.speed,
            detail=detail,
        )

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See Engine."""
        tokenizer = await self._tokenizer()
        return await asyncio.to_thread(tokenizer.count, texts)

    async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        """See Engine."""
        self._start()
        submission = self.device_thread.ask(request, on_text)
        try:
            return await submission.future
        except asyncio.CancelledError:
            self.device_thread.cancel(submission)
            raise
        finally:
            self.device_thread.forget(submission)

    async def load(self) -> None:
        """Load the model now. Raises EngineUnavailable."""
        await self._tokenizer()

    async def aclose(self) -> None:
        """See Engine."""
        if self._closed:
            return
        self._closed = True
        if self.device_thread.started:
            self.device_thread.end()
            await asyncio.to_thread(self.device_thread.join)

    async def _tokenizer(self) -> ChatTokenizer:
        self._start()
        thread = self.device_thread
        if not thread.load_ended.is_set():
            await asyncio.to_thread(thread.load_ended.wait)
        if thread.failure is not None or thread.loaded is None:
            raise thread.failure or EngineUnavailable(CLOSED)
        return thread.loaded.tokenizer

    def _start(self) -> None:
        if self._closed:
            raise EngineUnavailable(CLOSED)
        if self.device_thread.failure is not None:
            raise self.device_thread.failure
        self.device_thread.start()
