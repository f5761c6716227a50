"""A run: what the store does not know, asked of the engine."""

import asyncio
import logging
from collections.abc import Collection, Sequence

from qsum_lsp.engines.protocol import Engine, EngineFailed, OnText, Priority
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.summaries.evaluation import Asked, Evaluation
from qsum_lsp.summaries.flights import Flights, Seat
from qsum_lsp.summaries.needs import Ask
from qsum_lsp.summaries.values import OnProgress, SectionStarted, SectionText, Usage

_log = logging.getLogger(__name__)

MOST_UNDER_WAY = 64
"""Requests of one run at the engine at a time: enough to batch, and memory stays flat on huge pages."""


class Run:
    """One evaluation with an engine. Sections that are waited for may stream to ``on_progress``."""

    def __init__(
        self,
        evaluation: Evaluation,
        engine: Engine,
        flights: Flights,
        *,
        priority: Priority,
        on_progress: OnProgress | None,
    ) -> None:
        self._evaluation = evaluation
        self._engine = engine
        self._flights = flights
        self._priority = priority
        self._on_progress = on_progress
        self._seats: dict[Seat, tuple[Asked, int]] = {}
        self._started: set[str] = set()
        self._usage = Usage()

    async def complete(self) -> Usage:
        """Finish all recipes. When it ends, however it ends, nothing of it is left at the engine."""
        loop = asyncio.get_running_loop()
        evaluation = self._evaluation
        seconds = 0.0
        try:
            evaluation.settle()
            while evaluation.counts or evaluation.questions or self._seats:
                if evaluation.counts:
                    await self._count()
                else:
                    started = loop.time()
                    await self._submit()
                    self._land(await self._next_landed())
                    seconds += loop.time() - started
                evaluation.settle()
        finally:
            await self._flights.leave(self._seats)
        return Usage(
            prompt_tokens=self._usage.prompt_tokens, new_tokens=self._usage.new_tokens, seconds=seconds
        )

    async def _count(self) -> None:
        counts, self._evaluation.counts = self._evaluation.counts, []
        texts = [text for _, need in counts for text in need.texts]
        totals = iter(await self._counted(texts))
        for job, need in counts:
            self._evaluation.counted(job, [next(totals) for _ in need.texts])

    async def _counted(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text. As with answers, what fails is repeated once."""
        try:
            return await self._engine.count_tokens(texts)
        except EngineFailed:
            _log.info("the engine could not count tokens; it is asked once more")
        try:
            return await self._engine.count_tokens(texts)
        except EngineFailed as failure:
            raise EngineUnavailable(f"The engine cannot count tokens: {failure}") from failure

    async def _submit(self) -> None:
        questions = self._evaluation.questions
        while questions and len(self._seats) < MOST_UNDER_WAY:
            asked, index = questions.popleft()
            ask = asked.asks[index]
            if self._on_progress is not None and ask.node.id not in self._started:
                self._started.add(ask.node.id)
                self._on_progress(SectionStarted(section_id=ask.node.id, title=ask.node.title))
            seat = self._flights.join(ask, self._priority, self._listener(ask))
            self._seats[seat] = (asked, index)
            await asyncio.sleep(0)  # the prompt is built meanwhile, and others on the loop have their turn

    def _listener(self, ask: Ask) -> OnText | None:
        on_progress = self._on_progress
        if on_progress is None or not ask.final:
            return None
        return lambda piece: on_progress(SectionText(section_id=ask.node.id, piece=piece))

    async def _next_landed(self) -> Collection[Seat]:
        tasks = {seat.flight.task for seat in self._seats}
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return [seat for seat in self._seats if seat.flight.task in done]

    def _land(self, seats: Collection[Seat]) -> None:
        for seat in seats:
            answered = seat.flight.task.result()
            asked, index = self._seats.pop(seat)
            if seat.first:
                self._usage = Usage(
                    prompt_tokens=self._usage.prompt_tokens + answered.usage.prompt_tokens,
                    new_tokens=self._usage.new_tokens + answered.usage.new_tokens,
                )
            self._evaluation.answered(asked, index, answered.answer)
