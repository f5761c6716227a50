"""The engine as the rest of qsum sees it: asynchronous in front, one thread that owns the device behind."""

import asyncio
import gc
import logging
import sys
import threading
import time
from collections.abc import Sequence

import torch

from qsum_lsp.engines.protocol import (
    Completion,
    EngineFailed,
    EngineIdentity,
    EngineStatus,
    GenerationRequest,
    OnText,
    Priority,
    RequestTooLong,
)
from qsum_lsp.engines.torch.identity import identity_of, loaded_identity
from qsum_lsp.engines.torch.inbox import Inbox
from qsum_lsp.engines.torch.loading import Loaded, load
from qsum_lsp.engines.torch.options import TorchOptions
from qsum_lsp.engines.torch.outbox import Outbox
from qsum_lsp.engines.torch.runner import Runner
from qsum_lsp.engines.torch.scheduler import Scheduler
from qsum_lsp.engines.torch.sequence import FinishReason, RunningSequence
from qsum_lsp.engines.torch.source import ModelSource
from qsum_lsp.engines.torch.submission import Submission
from qsum_lsp.engines.torch.tokenizer import ChatTokenizer
from qsum_lsp.errors import EngineUnavailable, QsumError

log = logging.getLogger(__name__)

READ_AT_ONCE = 16
"""Requests that are tokenised together before the device is given something to do; they fill a prefill."""

EAGER_SECONDS = 5.0
"""How long compiling waits for a pause in the work; the two share the interpreter and slow each other down."""


class TorchEngine:
    """Qwen, Llama and other models on PyTorch. Loads with the first request and stays warm until ``aclose``."""

    def __init__(self, options: TorchOptions) -> None:
        self.options = options
        self._source = ModelSource.find(options.model)
        self._identity = identity_of(options)
        self._inbox = Inbox()
        self._outbox = Outbox()
        self._unanswered: set[Submission] = set()
        self._thread: threading.Thread | None = None
        self._loading = threading.Event()
        self._loaded: Loaded | None = None
        self._scheduler: Scheduler | None = None
        self._failure: QsumError | None = None
        self._closed = False
        self._ending = False
        self._settled = False
        self._speed: float | None = None
        self._patient_until = 0.0

    @property
    def identity(self) -> EngineIdentity:
        """See Engine."""
        return self._identity

    @property
    def warming(self) -> bool:
        """True while steps are still being optimised beside the work, or nothing is loaded yet."""
        executor = self._loaded.executor if self._loaded else None
        if not isinstance(executor, Runner):
            return executor is None
        return executor.warming

    def status(self) -> EngineStatus:
        """See Engine."""
        loaded, scheduler = self._loaded, self._scheduler
        if self._failure is not None:
            return EngineStatus(state="failed", detail=str(self._failure))
        if loaded is None or scheduler is None:
            return EngineStatus(state="loading" if self._thread is not None else "unloaded")
        detail = loaded.description
        if isinstance(loaded.executor, Runner):
            failure = loaded.executor.warm_up.failure
            if failure:
                detail += f"; eager mode only, because compiling failed: {failure}"
            elif loaded.executor.warming:
                detail += "; getting faster"
        cuda = loaded.device.type == "cuda"
        return EngineStatus(
            state="ready",
            device=str(loaded.device),
            running=scheduler.running,
            waiting=scheduler.waiting + self._inbox.waiting,
            slots=self.options.max_batch,
            memory_bytes=torch.cuda.memory_reserved(loaded.device) if cuda else None,
            tokens_per_second=self._speed,
            detail=detail,
        )

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See Engine."""
        tokenizer = await self._tokenizer()
        return await asyncio.to_thread(tokenizer.count, texts)

    async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        """See Engine."""
        self._start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Completion] = loop.create_future()
        submission = Submission(request, on_text, loop, future, time.perf_counter(), self._outbox)
        self._unanswered.add(submission)
        self._inbox.put(submission)
        try:
            return await submission.future
        except asyncio.CancelledError:
            self._inbox.put(lambda: self._cancel(submission))
            raise
        finally:
            self._unanswered.discard(submission)

    async def load(self) -> None:
        """Load the model now. Raises EngineUnavailable."""
        await self._tokenizer()

    async def aclose(self) -> None:
        """See Engine."""
        if self._closed:
            return
        self._closed = True
        thread = self._thread
        if thread is not None:
            self._inbox.put(self._end)
            await asyncio.to_thread(thread.join)

    async def _tokenizer(self) -> ChatTokenizer:
        self._start()
        if not self._loading.is_set():
            await asyncio.to_thread(self._loading.wait)
        if self._failure is not None or self._loaded is None:
            raise self._failure or EngineUnavailable("The torch engine was closed.")
        return self._loaded.tokenizer

    def _start(self) -> None:
        if self._closed:
            raise EngineUnavailable("The torch engine was closed.")
        if self._failure is not None:
            raise self._failure
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="qsum-torch", daemon=True)
            self._thread.start()

    # What follows runs on the engine's thread.

    def _end(self) -> None:
        self._ending = True

    def _run(self) -> None:
        self._load()
        while not self._ending:
            try:
                self._turn()
            except Exception as error:
                self._fail(error)
        self._stop()

    def _load(self) -> None:
        try:
            loaded = load(self.options, self._source, self._identity.context_tokens)
            self._scheduler = Scheduler(
                loaded.executor,
                stops=loaded.stops,
                max_batch=self.options.max_batch,
                prefill_tokens=loaded.prefill_tokens,
                speculative_batch=self.options.speculative_batch,
            )
            self._identity = loaded_identity(self._identity, loaded.quantization)
            self._loaded = loaded
            gc.freeze()  # looking for garbage among PyTorch's objects takes a tenth of a second, while steps wait
            self._patient_until = time.monotonic() + EAGER_SECONDS
            if isinstance(loaded.executor, Runner):
                loaded.executor.ask_for_usual_steps(self.options.max_batch, self.options.speculative_batch)
        except QsumError as error:
            error.__cause__ = error.__context__ = None  # what was loaded hangs on their frames
            self._failure = error.with_traceback(None)
        except Exception as error:
            log.exception("The torch engine did not load")
            self._failure = EngineUnavailable(f"{self.options.model} does not load: {error}")
        finally:
            self._loading.set()

    def _turn(self) -> None:
        """Take in what has arrived, launch what can be launched, tell what is there."""
        scheduler = self._scheduler if self._failure is None else None
        busy = self._inbox.waiting > 0 or (scheduler is not None and not scheduler.idle)
        if not busy:
            self._outbox.send()
        if scheduler is not None and (not busy or time.monotonic() > self._patient_until):
            self._begin_warm_up()
        if scheduler is not None and not busy and self._inbox.empty:
            busy = self._record_next()
        # while steps are getting ready the thread looks now and then whether one can be captured
        patience = 0.0 if busy else 0.05 if scheduler is not None and self.warming else None
        for command in self._inbox.receive(patience):
            command()
        if self._ending:
            return
        self._read()
        if scheduler is not None and not scheduler.idle:
            self._advance(scheduler)

    def _fail(self, error: Exception) -> None:
        log.exception("The torch engine failed")
        # CUDA's errors go on with advice to programmers
        reason = (str(error) or type(error).__name__).splitlines()[0]
        self._failure = EngineUnavailable(
            f"The torch engine failed: {reason}. Another process can start it again; where the shared engine is off, "
            "that takes a restart of this program."
        )
        self._give_up(EngineFailed(reason))

    def _give_up(self, error: EngineFailed) -> None:
        """Tell all who wait for an answer, wherever their requests are."""
        if self._scheduler is not None:
            self._scheduler.abandon(error)
        for submission in list(self._unanswered):
            submission.resolve(error)
        self._outbox.send()

    def _record_next(self) -> bool:
        """Record one step or prefill that is ready for it; False where nothing is left to do by now."""
        if self._loaded is None or not isinstance(self._loaded.executor, Runner):
            return False
        if self._loaded.executor.capture_next():
            return True
        if not self._settled and not self.warming:
            self._settled = True
            gc.freeze()  # as after loading, for what compiling and recording have left
        return False

    def _advance(self, scheduler: Scheduler) -> None:
        could_launch_more = scheduler.launch()
        self._outbox.send()  # while the device works
        if not could_launch_more:
            scheduler.land()

    def _read(self) -> None:
        """Tokenise the most urgent requests, unless the scheduler has enough to choose from, of none less urgent."""
        scheduler, loaded = self._scheduler, self._loaded
        enough = max(READ_AT_ONCE, self.options.max_batch // 4)
        if scheduler is not None and scheduler.waiting >= enough and self._inbox.priority == Priority.BATCH:
            return
        submissions = self._inbox.take(READ_AT_ONCE)
        if not submissions:
            return
        prompts: list[list[int] | EngineFailed] = [[] for _ in submissions]
        if loaded is not None:
            prompts = loaded.tokenizer.encode_chats([s.request.messages for s in submissions])
        for submission, prompt in zip(submissions, prompts, strict=True):
            self._submit(submission, prompt)

    def _begin_warm_up(self) -> None:
        if self._inbox.empty and self._loaded is not None and isinstance(self._loaded.executor, Runner):
            self._loaded.executor.warm_up.begin()

    def _stop(self) -> None:
        self._outbox.send()
        self._give_up(EngineFailed("The engine was closed."))
        loaded = self._loaded
        if loaded is not None and isinstance(loaded.executor, Runner):
            loaded.executor.close()
        loaded = None
        self._loaded = self._scheduler = None
        if "torch._dynamo" in sys.modules:
            torch._dynamo.reset()  # compiled steps hold the weights
        gc.unfreeze()
        gc.collect()  # what refers to itself in circles holds gigabytes
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def _submit(self, submission: Submission, prompt: list[int] | EngineFailed) -> None:
        loaded, scheduler = self._loaded, self._scheduler
        if self._failure is not None or loaded is None or scheduler is None:
            submission.resolve(self._failure or EngineUnavailable("The torch engine was closed."))
            return
        if submission.future.cancelled():
            return
        request = submission.request
        if isinstance(prompt, EngineFailed):
            submission.resolve(prompt)
            return
        limit = len(prompt) + request.max_new_tokens
        if limit > loaded.context_tokens:
            submission.resolve(
                RequestTooLong(
                    f"Prompt ({len(prompt)} tokens) and answer ({request.max_new_tokens}) exceed the context of "
                    f"{loaded.context_tokens} tokens."
                )
            )
            return
        text = loaded.tokenizer.answer_text()
        started = time.perf_counter()

        def on_tokens(tokens: list[int]) -> None:
            piece = text.add(tokens)
            if piece:
                submission.show(piece)

        def on_finish(reason: FinishReason) -> None:
            now = time.perf_counter()
            new = len(sequence.answer)
            self._speed = new / max(now - started, 1e-6)
            submission.resolve(
                Completion(
                    text=str(text),
                    finish_reason=reason,
                    prompt_tokens=len(prompt),
                    new_tokens=new,
                    seconds=now - submission.submitted,
                )
            )

        sequence = RunningSequence(
            prompt=prompt,
            limit=limit,
            priority=int(request.priority),
            on_tokens=on_tokens,
            on_finish=on_finish,
            on_failure=submission.resolve,
        )
        submission.sequence = sequence
        scheduler.submit(sequence)

    def _cancel(self, submission: Submission) -> None:
        if submission.sequence is not None and self._scheduler is not None:
            self._scheduler.cancel(submission.sequence)
