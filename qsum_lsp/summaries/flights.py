"""Answers under way: each key once, however many ask for it."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from qsum_lsp.engines.protocol import Completion, Engine, GenerationRequest, OnText, Priority
from qsum_lsp.summaries.answer import encode_answer
from qsum_lsp.summaries.answering import Answered, Answering
from qsum_lsp.summaries.needs import Ask
from qsum_lsp.summaries.shelf import Shelf


@dataclass(slots=True, eq=False)
class Flight:
    """One answer under way. ``priority`` is the most urgent of all who wait for it."""

    ask: Ask
    priority: Priority
    waiting: int = 0
    heard: str = ""
    listeners: list[OnText] = field(default_factory=list)
    call: "asyncio.Task[Completion] | None" = None
    restart: bool = False
    task: "asyncio.Task[Answered]" = field(init=False)

    def hear(self, piece: str) -> None:
        """Pass the next piece of text on to all who listen."""
        self.heard += piece
        for listener in self.listeners:
            listener(piece)


@dataclass(frozen=True, slots=True, eq=False)
class Seat:
    """A caller's place on a flight. ``first`` is True for the one for whom it was begun."""

    flight: Flight
    on_text: OnText | None
    first: bool


class Flights:
    """The answers that one engine is at work on.

    A flight goes on as long as anybody waits for it, and is cancelled when the last one leaves.
    """

    def __init__(self, engine: Engine, shelf: Shelf) -> None:
        self._engine = engine
        self._shelf = shelf
        self._by_key: dict[str, Flight] = {}

    def join(self, ask: Ask, priority: Priority, on_text: OnText | None) -> Seat:
        """A seat on the flight for ``ask``, which is begun where there is none."""
        flight = self._by_key.get(ask.key)
        first = flight is None
        if flight is None:
            flight = Flight(ask, priority)
            flight.task = asyncio.create_task(self._answer(flight))
            flight.task.add_done_callback(self._forget(flight))
            self._by_key[ask.key] = flight
        elif priority < flight.priority:
            flight.priority = priority
            if flight.call is not None and not flight.heard:
                # it may wait behind others at the engine: ask again, more urgently
                flight.restart = True
                flight.call.cancel()
        flight.waiting += 1
        if on_text is not None:
            if flight.heard:
                on_text(flight.heard)
            flight.listeners.append(on_text)
        return Seat(flight, on_text, first)

    async def leave(self, seats: Iterable[Seat]) -> None:
        """Give up ``seats``; returns when the flights that nobody waits for any more have stopped."""
        stopped = []
        for seat in seats:
            flight = seat.flight
            flight.waiting -= 1
            if seat.on_text is not None:
                flight.listeners.remove(seat.on_text)
            if flight.waiting == 0 and not flight.task.done():
                self._by_key.pop(flight.ask.key, None)
                flight.task.cancel()
                stopped.append(flight.task)
        if stopped:
            await asyncio.wait(stopped)

    def _forget(self, flight: Flight) -> "Callable[[asyncio.Task[Answered]], None]":
        def done(task: "asyncio.Task[Answered]") -> None:
            if self._by_key.get(flight.ask.key) is flight:
                del self._by_key[flight.ask.key]
            if not task.cancelled():
                task.exception()  # an error that nobody waits for any more is nobody's

        return done

    async def _answer(self, flight: Flight) -> Answered:
        async def generate(request: GenerationRequest, on_text: OnText | None) -> Completion:
            return await self._generate(flight, request, on_text)

        answered = await Answering(
            flight.ask.prompt_input,
            generate,
            extractive=self._engine.identity.name == "extractive",
            splittable=flight.ask.splittable,
            on_text=flight.hear,
        ).answer()
        if answered.answer.lasting:
            # While it loaded, the engine may have given way to a smaller one, whose answers have other keys.
            key = flight.ask.key_for(self._engine.identity.fingerprint)
            self._shelf.put(key, encode_answer(answered.answer))
        return answered

    async def _generate(
        self, flight: Flight, request: GenerationRequest, on_text: OnText | None
    ) -> Completion:
        own_task = asyncio.current_task()
        while True:
            flight.restart = False
            urgent = replace(request, priority=flight.priority)
            flight.call = asyncio.create_task(self._call(urgent, on_text))
            try:
                return await flight.call
            except asyncio.CancelledError:
                if not flight.restart or (own_task is not None and own_task.cancelling()):
                    raise
            finally:
                flight.call = None

    async def _call(self, request: GenerationRequest, on_text: OnText | None) -> Completion:
        return await self._engine.generate(request, on_text=on_text)
