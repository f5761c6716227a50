"""An engine that gives way to a smaller one where the device has not the memory for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from qsum_lsp.engines.protocol import (
    Completion,
    Engine,
    EngineIdentity,
    EngineStatus,
    GenerationRequest,
    OnText,
)
from qsum_lsp.errors import EngineUnavailable, OutOfDeviceMemory, QsumError

_log = logging.getLogger(__name__)

_T = TypeVar("_T")


class SmallerWhereNeeded:
    """The first engine of ``ways`` that fits; each is a short name for people and a function that makes it.

    ``identity`` is that of the engine in use, so it changes when the first does not fit.
    """

    def __init__(self, ways: Sequence[tuple[str, Callable[[], Engine]]]) -> None:
        (self._name, make), *self._smaller = ways
        self._engine = make()
        self._gives_way = asyncio.Lock()
        self._detail = ""
        self._refused: list[str] = []

    @property
    def identity(self) -> EngineIdentity:
        return self._engine.identity

    def status(self) -> EngineStatus:
        status = self._engine.status()
        if not self._detail:
            return status
        detail = f"{self._detail} {status.detail}".strip()
        return replace(status, detail=detail)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return await self._on_one_that_fits(lambda engine: engine.count_tokens(texts))

    async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        return await self._on_one_that_fits(lambda engine: engine.generate(request, on_text=on_text))

    async def aclose(self) -> None:
        self._smaller = []
        await self._engine.aclose()

    async def _on_one_that_fits(self, call: Callable[[Engine], Awaitable[_T]]) -> _T:
        while True:
            engine = self._engine
            try:
                return await call(engine)
            except OutOfDeviceMemory as error:
                async with self._gives_way:
                    if engine is self._engine:
                        await self._give_way(error)

    async def _give_way(self, error: OutOfDeviceMemory) -> None:
        """Raises EngineUnavailable, which says why none of the smaller ones can run, where that is so."""
        while self._smaller:
            name, make = self._smaller.pop(0)
            try:
                smaller = make()
            except QsumError as refused:
                self._refused.append(f"{name} cannot run instead: {refused}")
                continue
            await self._engine.aclose()
            self._engine = smaller
            self._detail = f"{self._name} does not fit ({error}); {name} runs instead."
            self._name = name
            _log.warning("%s", self._detail)
            return
        raise EngineUnavailable(" ".join([str(error), *self._refused])) from error
