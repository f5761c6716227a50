"""Beginnings that prompts share: the model's state after each is evaluated once, and saved as a file."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qsum_lsp.engines.llama.slots import Slot, common_prefix
from qsum_lsp.engines.protocol import EngineFailed

if TYPE_CHECKING:
    from qsum_lsp.engines.llama.client import LlamaClient

_log = logging.getLogger(__name__)

_LEAST_SHARED_TOKENS = 24
_PREFIXES_KEPT = 8


class Prefixes:
    """The last few shared beginnings of one model process, whose files are in ``folder``."""

    def __init__(self, client: "LlamaClient", folder: Path) -> None:
        self._client = client
        self._folder = folder
        self._saved: dict[tuple[int, ...], asyncio.Task[str | None]] = {}  # to the file's name, oldest first

    async def bring(self, prefix: tuple[int, ...], slot: Slot, tokens: Sequence[int]) -> None:
        """Bring the state after ``prefix`` to ``slot``, where ``tokens`` begin with it and no nearer state is there.

        It is evaluated only if no slot ever has.
        """
        if len(prefix) < _LEAST_SHARED_TOKENS or common_prefix(slot.tokens, tokens) >= len(prefix):
            return
        task = self._saved.get(prefix)
        if task is None:
            while len(self._saved) >= _PREFIXES_KEPT:
                oldest = self._saved.pop(next(iter(self._saved)))
                oldest.add_done_callback(self._remove)
            task = asyncio.create_task(self._save(prefix, slot))
            self._saved[prefix] = task
            await asyncio.shield(task)
            return
        name = await asyncio.shield(task)
        if name is not None:
            with contextlib.suppress(EngineFailed):  # removed meanwhile: the whole prompt is evaluated
                await self._client.restore_slot(slot.number, name)

    def remove_all(self) -> None:
        """Delete the files; no process reads them any more."""
        for saved in self._saved.values():
            saved.add_done_callback(self._remove)

    async def _save(self, prefix: tuple[int, ...], slot: Slot) -> str | None:
        name = f"prefix-{secrets.token_hex(8)}.bin"
        try:
            await self._client.evaluate(prefix, slot=slot.number)
            await self._client.save_slot(slot.number, name)
        except Exception:
            _log.debug("the shared prompt prefix could not be saved", exc_info=True)
            self._saved.pop(prefix, None)
            return None
        return name

    def _remove(self, saved: "asyncio.Task[str | None]") -> None:
        name = None if saved.cancelled() else saved.result()
        if name is not None:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()
