"""One row of ``qsum bench``: an engine with some settings, measured part by part."""

import asyncio
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import psutil

from qsum_lsp.engines.protocol import (
    Completion,
    Engine,
    EngineFailed,
    EngineStatus,
    GenerationRequest,
    Message,
    RequestTooLong,
)
from qsum_lsp.errors import QsumError
from qsum_lsp.evaluation.pages import EvaluationPage
from qsum_lsp.service import create_local_engine, engine_name
from qsum_lsp.settings import Settings
from qsum_lsp.text.sentences import split_sentences

LENGTHS = {"short": 100, "medium": 400, "long": 1500}
"""Words of the texts to summarise."""

NEW_TOKENS = 64
"""Tokens of an answer, on pages for ROUGE too."""

WARM_UP_SECONDS = 90.0
"""How long a row waits for its engine to get faster before it is measured as it is."""

ENOUGH_SECONDS = 3.0
"""After this long a measurement that was made three times is not repeated again."""

SLOW_SECONDS = 20.0
"""After this long no measurement is repeated."""

WATCH_SECONDS = 0.2
"""Between two looks at the memory in use."""


@dataclass(slots=True)
class Measured:
    """One row, as far as it was measured: medians over repeats by length of the text, one request at a time.

    ``together`` are sections a second by how many are asked for at once. ``memory_mib`` is the peak of what
    ``memory_of`` names. ``left_out`` says what has no figure, or one that is to be taken with care, and why;
    ``failed`` why the engine gave up.
    """

    name: str
    warm_up_seconds: float | None = None
    memory_mib: float | None = None
    memory_of: str = ""
    lengths: dict[str, dict[str, float]] = field(default_factory=dict)
    together: dict[int, float] = field(default_factory=dict)
    rouge_1: float | None = None
    rouge_l: float | None = None
    detail: str = ""
    left_out: list[str] = field(default_factory=list)
    failed: str = ""


async def measure(
    name: str, settings: Settings, pages: Sequence[EvaluationPage] | None, seconds: float
) -> Measured:
    """The row called ``name``; an engine that fails is told in it, with the figures from before.

    It takes at most ``seconds`` from loading to the last figure, then what is missing is told in it. ROUGE is taken
    of the answers on ``pages``.
    """
    row = Measured(name)
    try:
        engine = create_local_engine(settings)
    except QsumError as error:
        row.failed = str(error)
        return row
    meter = _Meter(row, engine, settings)
    watching = asyncio.create_task(meter.watch())
    try:
        await meter.measure(pages, seconds)
    except (QsumError, EngineFailed) as error:
        row.failed = str(error)
    finally:
        watching.cancel()
        meter.look()
        await engine.aclose()
    return row


class _Meter:
    """Fills ``row`` with figures of ``engine``."""

    def __init__(self, row: Measured, engine: Engine, settings: Settings) -> None:
        self._row, self._engine = row, engine
        self._compiles_sizes = engine_name(settings) == "torch" and settings.compile not in ("off", "auto")
        """Whether every size of batch and context is compiled for seconds when it is first met."""
        self._seeds = count(100)

    async def measure(self, pages: Sequence[EvaluationPage] | None, seconds: float) -> None:
        """Everything within ``seconds``, what matters most first. Raises QsumError, EngineFailed."""
        parts: dict[str, Callable[[], Awaitable[None]]] = {"warm-up": self._warm_up}
        for length in ("medium", "short", "long"):
            parts[length] = partial(self._alone, length)
        if pages:
            parts["ROUGE"] = partial(self._quality, pages)
        if not self._compiles_sizes:
            parts["many at once"] = self._many
        waiting = list(parts)
        try:
            async with asyncio.timeout(seconds):
                for part, fill in parts.items():
                    try:
                        await fill()
                    except RequestTooLong as error:
                        self._row.left_out.append(f"{part}: {error}")
                    waiting.remove(part)
        except TimeoutError:
            self._row.left_out.append(f"{', '.join(waiting)}: not measured within {seconds:.0f} s")

    async def watch(self) -> None:
        """Keep the highest memory that is seen, until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(WATCH_SECONDS)

    def look(self) -> None:
        """Note what an engine that has not failed says of itself now."""
        row, status = self._row, self._engine.status()
        if status.state == "failed":
            return
        if status.state == "ready":
            row.detail = status.detail
        if status.memory_bytes is None:
            seen, of = psutil.Process().memory_info().rss, "resident in memory, the whole process"
        elif _on_gpu(status):
            seen, of = status.memory_bytes, "reserved on the GPU"
        else:
            seen, of = status.memory_bytes, "resident in memory, the model's process"
        if of != row.memory_of:  # until it is loaded an engine does not know
            row.memory_of, row.memory_mib = of, 0.0
        row.memory_mib = max(row.memory_mib or 0.0, seen / (1 << 20))

    async def _warm_up(self) -> None:
        begun = time.perf_counter()
        await self._engine.generate(_request(LENGTHS["medium"], next(self._seeds)))
        await self._quiet(math.inf if self._compiles_sizes else WARM_UP_SECONDS)
        self._row.warm_up_seconds = time.perf_counter() - begun
        if self._warming:
            self._row.left_out.append(f"still getting faster after {WARM_UP_SECONDS:.0f} s, measured so")

    @property
    def _warming(self) -> bool:
        return "getting faster" in self._engine.status().detail

    async def _quiet(self, seconds: float = math.inf) -> None:
        """Wait until nothing is compiled beside the work, at most ``seconds``."""
        until = time.perf_counter() + seconds
        while self._warming and time.perf_counter() < until:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.1)

    async def _settled(self, request: GenerationRequest) -> Completion:
        """The answer to ``request`` by steps of which none is left to be compiled."""
        done = await self._engine.generate(request)
        while self._warming:
            await self._quiet()
            done = await self._engine.generate(request)
        return done

    async def _alone(self, length: str) -> None:
        words = LENGTHS[length]
        if self._compiles_sizes:
            await self._settled(_request(words, next(self._seeds)))
        first: list[float] = []
        rates: list[float] = []
        whole: list[float] = []
        tokens: list[float] = []
        started = time.perf_counter()
        while not _often_enough(len(whole), time.perf_counter() - started):
            stamps: list[float] = []
            begun = time.perf_counter()

            def note(_text: str, seen: list[float] = stamps) -> None:
                seen.append(time.perf_counter())

            request = _request(words, next(self._seeds))
            done = await self._engine.generate(request, on_text=note)
            ended = time.perf_counter()
            if self._compiles_sizes and self._warming:  # it met a size of its own
                await self._settled(request)
                started = time.perf_counter()
                continue
            whole.append(ended - begun)
            tokens.append(done.new_tokens)
            if stamps and done.new_tokens > 1 and stamps[-1] > stamps[0]:
                first.append(stamps[0] - begun)
                rates.append((done.new_tokens - 1) / (stamps[-1] - stamps[0]))
        # a first request of a size may still prepare something
        first, rates, whole, tokens = (values[1:] or values for values in (first, rates, whole, tokens))
        self._row.lengths[length] = {
            "first token ms": statistics.median(first) * 1000 if first else 0.0,
            "token ms": 1000 / statistics.median(rates) if rates else 0.0,
            "tok/s": statistics.median(rates) if rates else 0.0,
            "whole ms": statistics.median(whole) * 1000,
            "new tokens": statistics.median(tokens),
        }
        if min(tokens) < NEW_TOKENS:
            self._row.left_out.append(f"{length}: answers ended after {statistics.median(tokens):.0f} tokens")

    async def _many(self) -> None:
        for size in (8, 64) if _on_gpu(self._engine.status()) else (8,):
            self._row.together[size] = await self._together(size)

    async def _together(self, size: int) -> float:
        """Sections a second, of ``size`` asked for at once, the second time."""
        for _ in range(2):
            begun = time.perf_counter()
            requests = [_request(LENGTHS["medium"], next(self._seeds)) for _ in range(size)]
            await asyncio.gather(*(self._engine.generate(request) for request in requests))
            seconds = time.perf_counter() - begun
            if seconds > 2 * ENOUGH_SECONDS:
                break
        return size / seconds

    async def _quality(self, pages: Sequence[EvaluationPage]) -> None:
        from qsum_lsp.evaluation.measures import Rouge

        rouge = Rouge()
        questions = [_page_request(page) for page in pages]
        if self._compiles_sizes:
            done = [await self._settled(question) for question in questions]
        else:
            done = await asyncio.gather(*(self._engine.generate(question) for question in questions))
        scores = rouge.scores([page.description for page in pages], [answer.text for answer in done])
        self._row.rouge_1, self._row.rouge_l = (
            float(scores["ROUGE-1"].mean()),
            float(scores["ROUGE-L"].mean()),
        )


def _on_gpu(status: EngineStatus) -> bool:
    return (status.device or "").startswith("cuda")


def _often_enough(times: int, seconds: float) -> bool:
    return times >= 5 or (times >= 3 and seconds > ENOUGH_SECONDS) or (times >= 1 and seconds > SLOW_SECONDS)


def _request(words: int, seed: int) -> GenerationRequest:
    """A text that begins as that of no other seed: what has been read before is not read again."""
    subjects = ("the parser", "the cache", "a worker", "the index", "this option", "the server", "a client")
    verbs = ("reads", "checks", "stores", "sends", "rejects", "renames", "compresses")
    objects = ("each record", "the settings file", "old entries", "every request", "the result", "its state")
    sentences: list[str] = []
    while sum(len(sentence.split()) for sentence in sentences) < words:
        n = len(sentences) * 5 + seed
        sentences.append(f"In step {n}, {subjects[n % 7]} {verbs[n // 2 % 7]} {objects[n // 3 % 6]}.")
    text = " ".join(sentences)
    # so many that every answer is as long as it may be, and whole answers can be compared
    question = f"{text}\n\nSummarise the text above in ten sentences."
    return GenerationRequest(messages=(Message("user", question),), source=text, max_new_tokens=NEW_TOKENS)


def _page_request(page: EvaluationPage) -> GenerationRequest:
    text = " ".join(split_sentences(page.body))[:6000]
    question = f"{text}\n\nSummarise the text above in one or two short sentences. Only the summary."
    return GenerationRequest(messages=(Message("user", question),), source=text, max_new_tokens=NEW_TOKENS)
