"""The thread that owns the device: it loads the model, then answers requests until it is ended."""

import asyncio
import gc
import logging
import sys
import threading
import time

import torch

from qsum_lsp.engines.protocol import (
    Completion,
    EngineFailed,
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
from qsum_lsp.errors import EngineUnavailable, QsumError

_log = logging.getLogger(__name__)

CLOSED = "The torch engine was closed."

READ_AT_ONCE = 16
"""Requests that are tokenised together before the device is given something to do; they fill a prefill."""

EAGER_SECONDS = 5.0
"""How long compiling waits for a pause in the work; the two share the interpreter and slow each other down."""


class DeviceThread:
    """Answers requests of event loops; only its own thread uses the device.

    ``loaded`` and ``scheduler`` are there from when ``load_ended`` is set until the thread ends, or ``failure`` says
    why not. A later failure ends the answering, too. ``speed`` is that of the last answer, in tokens per second.
    """

    def __init__(self, options: TorchOptions) -> None:
        self._options = options
        self._source = ModelSource.find(options.model)
        self._inbox = Inbox()
        self._outbox = Outbox()
        self._unanswered: set[Submission] = set()
        self._thread: threading.Thread | None = None
        self._ending = False
        self._settled = False
        self._patient_until = 0.0
        self.identity = identity_of(options)
        self.load_ended = threading.Event()
        self.loaded: Loaded | None = None
        self.scheduler: Scheduler | None = None
        self.failure: QsumError | None = None
        self.speed: float | None = None

    @property
    def started(self) -> bool:
        """True once ``start`` was called."""
        return self._thread is not None

    @property
    def waiting(self) -> int:
        """Requests that wait for a slot of the device."""
        scheduler = self.scheduler
        return self._inbox.waiting + (scheduler.waiting if scheduler is not None else 0)

    @property
    def runner(self) -> Runner | None:
        """What computes, where it is loaded and gets faster while it works."""
        loaded = self.loaded
        return loaded.executor if loaded is not None and isinstance(loaded.executor, Runner) else None

    @property
    def warming(self) -> bool:
        """True while steps are still being optimised beside the work, or nothing is loaded yet."""
        runner = self.runner
        return self.loaded is None if runner is None else runner.warming

    def start(self) -> None:
        """Begin to load the model, where that was not begun before."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="qsum-torch", daemon=True)
            self._thread.start()

    def ask(self, request: GenerationRequest, on_text: OnText | None) -> Submission:
        """Put in a request of the running event loop; the submission's future gets the answer."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Completion] = loop.create_future()
        submission = Submission(request, on_text, loop, future, time.perf_counter(), self._outbox)
        self._unanswered.add(submission)
        self._inbox.put(submission)
        return submission

    def cancel(self, submission: Submission) -> None:
        """Stop computing an answer that nobody waits for any more."""
        self._inbox.put(lambda: self._cancel(submission))

    def forget(self, submission: Submission) -> None:
        """Take note that the future of ``submission`` is done."""
        self._unanswered.discard(submission)

    def end(self) -> None:
        """Have all who wait told that the engine was closed, and the device freed."""
        self._inbox.put(self._end)

    def join(self) -> None:
        """Return when the thread has ended."""
        if self._thread is not None:
            self._thread.join()

    # What follows runs on the thread.

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
            loaded = load(self._options, self._source, self.identity.context_tokens)
            self.scheduler = Scheduler(
                loaded.executor,
                stops=loaded.stops,
                max_batch=self._options.max_batch,
                prefill_tokens=loaded.prefill_tokens,
                speculative_batch=self._options.speculative_batch,
            )
            self.identity = loaded_identity(self.identity, loaded.quantization)
            self.loaded = loaded
            gc.freeze()  # looking for garbage among PyTorch's objects takes a tenth of a second, while steps wait
            self._patient_until = time.monotonic() + EAGER_SECONDS
            if self.runner is not None:
                self.runner.ask_for_usual_steps(self._options.max_batch, self._options.speculative_batch)
        except QsumError as error:
            error.__cause__ = error.__context__ = None  # what was loaded hangs on their frames
            self.failure = error.with_traceback(None)
        except Exception as error:
            _log.exception("The torch engine did not load")
            self.failure = EngineUnavailable(f"{self._options.model} does not load: {error}")
        finally:
            self.load_ended.set()

    def _turn(self) -> None:
        """Take in what has arrived, launch what can be launched, tell what is there."""
        scheduler = self.scheduler if self.failure is None else None
        idle = scheduler is None or scheduler.idle
        if idle:  # else while the device works
            self._outbox.send()
        busy = not idle or self._inbox.waiting > 0
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

    def _read(self) -> None:
        """Tokenise the most urgent requests, unless the scheduler has enough to choose from, of none less urgent."""
        scheduler, loaded = self.scheduler, self.loaded
        enough = max(READ_AT_ONCE, self._options.max_batch // 4)
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

    def _submit(self, submission: Submission, prompt: list[int] | EngineFailed) -> None:
        loaded, scheduler = self.loaded, self.scheduler
        if self.failure is not None or loaded is None or scheduler is None:
            submission.resolve(self.failure or EngineUnavailable(CLOSED))
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
            self.speed = new / max(now - started, 1e-6)
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
        if submission.sequence is not None and self.scheduler is not None:
            self.scheduler.cancel(submission.sequence)

    def _advance(self, scheduler: Scheduler) -> None:
        could_launch_more = scheduler.launch()
        self._outbox.send()  # while the device works
        if not could_launch_more:
            scheduler.land()

    def _begin_warm_up(self) -> None:
        if self._inbox.empty and self.runner is not None:
            self.runner.warm_up.begin()

    def _record_next(self) -> bool:
        """Record one step or prefill that is ready for it; False where nothing is left to do by now."""
        if self.runner is None:
            return False
        if self.runner.capture_next():
            return True
        if not self._settled and not self.warming:
            self._settled = True
            gc.freeze()  # as after loading, for what compiling and recording have left
        return False

    def _fail(self, error: Exception) -> None:
        _log.exception("The torch engine failed")
        # CUDA's errors go on with advice to programmers
        reason = (str(error) or type(error).__name__).splitlines()[0]
        self.failure = EngineUnavailable(
            f"The torch engine failed: {reason}. Another process can start it again; where the shared engine is off, "
            "that takes a restart of this program."
        )
        self._give_up(EngineFailed(reason))

    def _give_up(self, error: EngineFailed) -> None:
        """Tell all who wait for an answer, wherever their requests are."""
        if self.scheduler is not None:
            self.scheduler.abandon(error)
        for submission in list(self._unanswered):
            submission.resolve(error)
        self._outbox.send()

    def _end(self) -> None:
        self._ending = True

    def _stop(self) -> None:
        self._outbox.send()
        self._give_up(EngineFailed("The engine was closed."))
        if self.runner is not None:
            self.runner.close()
        self.loaded = self.scheduler = None
        if "torch._dynamo" in sys.modules:
            torch._dynamo.reset()  # compiled steps hold the weights
        gc.unfreeze()
        gc.collect()  # what refers to itself in circles holds gigabytes
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
