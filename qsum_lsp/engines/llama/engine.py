"""The engine: loads the process once, and queues requests in front of its slots."""

import asyncio
import contextlib
import logging
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from qsum_lsp.engines.llama.prefixes import Prefixes
from qsum_lsp.engines.llama.process import WorkerProcess
from qsum_lsp.engines.llama.slots import Slot, Slots
from qsum_lsp.engines.llama.threads import default_threads
from qsum_lsp.engines.llama.worker import WorkerConfig
from qsum_lsp.engines.protocol import (
    Completion,
    EngineFailed,
    EngineIdentity,
    EngineStatus,
    GenerationRequest,
    OnText,
    RequestTooLong,
)
from qsum_lsp.engines.shared_task import result_of
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.models import Adapter, adapter_path
from qsum_lsp.text.enough import is_enough

if TYPE_CHECKING:
    # httpx takes 0.1 s to import, which a run that is answered from the store need not spend.
    from qsum_lsp.engines.llama.chat import ChatEncoder
    from qsum_lsp.engines.llama.client import LlamaClient

_log = logging.getLogger(__name__)

_SLOTS = 5
_BATCH_TOKENS = 128
_LEAST_ANSWER_TOKENS = 16
_DEATH_SECONDS = 1.0


@dataclass(slots=True)
class _Loaded:
    """A model that is ready."""

    process: WorkerProcess
    client: "LlamaClient"
    chat: "ChatEncoder"
    device: str
    prefixes: Prefixes
    slots: Slots = field(default_factory=lambda: Slots(_SLOTS))


class LlamaEngine:
    """Implements ``Engine`` over a GGUF file.

    ``adapter`` was made for the file and is applied to it. ``context_tokens`` bounds prompt and answer of one
    request; memory is the file's size plus the key-value cache of all slots (f16: 28 KiB a token for Qwen2.5 1.5B, 12 KiB for 0.5B, times ``context_tokens`` times 5) plus about
    300 MiB. ``threads`` None is chosen by ``default_threads`` at loading.
    """

    def __init__(  # noqa: PLR0913
        self,
        model_path: Path,
        *,
        model_name: str,
        model_hash: str,
        adapter: Adapter | None = None,
        context_tokens: int = 4096,
        threads: int | None = None,
    ) -> None:
        self._model_path = model_path
        self._adapter = adapter
        self._threads = threads
        weights = f"{model_hash}-{adapter.sha256[:16]}" if adapter else model_hash
        self._identity = EngineIdentity(
            name="llama",
            model=model_name,
            fingerprint=f"{weights}-llama.cpp-kv-f16",
            context_tokens=context_tokens,
        )
        self._load_task: asyncio.Task[_Loaded] | None = None
        self._state_folder: tempfile.TemporaryDirectory[str] | None = None
        self._failure = ""
        self._closed = False
        self._tokens_per_second: float | None = None

    @property
    def identity(self) -> EngineIdentity:
        return self._identity

    def status(self) -> EngineStatus:
        loaded = self._loaded_now()
        if loaded is None:
            loading = self._load_task is not None and not self._load_task.done()
            state = "loading" if loading else "failed" if self._failure else "unloaded"
            return EngineStatus(state=state, detail=self._failure)  # type: ignore[arg-type]
        memory = None
        with contextlib.suppress(psutil.Error):
            memory = psutil.Process(loaded.process.pid).memory_info().rss
        return EngineStatus(
            state="ready",
            device=loaded.device,
            running=loaded.slots.running,
            waiting=loaded.slots.waiting,
            slots=_SLOTS,
            memory_bytes=memory,
            tokens_per_second=self._tokens_per_second,
        )

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        loaded = await self._load()
        async with self._speaking_to(loaded):
            return [len(await loaded.client.tokenize(text, special=False)) if text else 0 for text in texts]

    async def generate(self, request: GenerationRequest, *, on_text: OnText | None = None) -> Completion:
        started = time.monotonic()
        loaded = await self._load()
        async with self._speaking_to(loaded):
            tokens, shared = await loaded.chat.encode(request.messages)
            room = self._identity.context_tokens - len(tokens)
            wanted = max(request.max_new_tokens, 0)
            if room < min(wanted, _LEAST_ANSWER_TOKENS):
                raise RequestTooLong(
                    f"the prompt has {len(tokens)} tokens; with its answer it does not fit the context of "
                    f"{self._identity.context_tokens}"
                )
            if wanted == 0:  # the server would write one token all the same
                return Completion(
                    text="",
                    finish_reason="length",
                    prompt_tokens=len(tokens),
                    new_tokens=0,
                    seconds=time.monotonic() - started,
                )
            slot = await loaded.slots.acquire(tokens, request.priority)
            try:
                await loaded.prefixes.bring(tuple(tokens[:shared]), slot, tokens)
                slot.tokens = tokens
                fitting = replace(request, max_new_tokens=min(wanted, room))
                return await self._decode(loaded, slot, fitting, on_text, started)
            finally:
                loaded.slots.release(slot)

    async def aclose(self) -> None:
        self._closed = True
        task, self._load_task = self._load_task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, EngineUnavailable):
                await self._unload(await task, EngineUnavailable("The engine was closed."))
        if self._state_folder is not None:
            self._state_folder.cleanup()
            self._state_folder = None

    async def _decode(
        self,
        loaded: _Loaded,
        slot: Slot,
        request: GenerationRequest,
        on_text: OnText | None,
        started: float,
    ) -> Completion:
        text = ""
        first_text = 0.0
        stream = loaded.client.complete(slot.tokens, slot=slot.number, max_new_tokens=request.max_new_tokens)
        async with contextlib.aclosing(stream):
            async for piece in stream:
                now = time.monotonic()
                if piece.text:
                    first_text = first_text or now
                    text += piece.text
                    if on_text is not None:
                        on_text(piece.text)
                if piece.ended or is_enough(
                    text, chars=request.enough_chars, sentences=request.enough_sentences
                ):
                    if piece.new_tokens > 1 and now > first_text > 0:
                        self._tokens_per_second = (piece.new_tokens - 1) / (now - first_text)
                    return Completion(
                        text=text,
                        finish_reason=piece.ended or "length",
                        prompt_tokens=len(slot.tokens),
                        new_tokens=piece.new_tokens,
                        seconds=now - started,
                    )
        raise EngineFailed("llama.cpp ended the answer early")

    @contextlib.asynccontextmanager
    async def _speaking_to(self, loaded: _Loaded) -> AsyncIterator[None]:
        """Turn a broken connection into what it means."""
        import httpx

        try:
            yield
        except (httpx.TransportError, httpx.StreamError, RuntimeError) as error:
            if self._closed:
                raise EngineUnavailable("The engine was closed while a request was under way.") from error
            if not await loaded.process.ended_within(_DEATH_SECONDS):
                raise EngineFailed(f"the connection to the model process failed: {error!r}") from error
            await self._forget(loaded)
            raise EngineFailed(loaded.process.why_ended()) from error

    async def _forget(self, loaded: _Loaded) -> None:
        """Let the next request start a fresh process in place of one that ended."""
        if self._loaded_now() is loaded:
            self._load_task = None
            await self._unload(loaded, EngineFailed(loaded.process.why_ended()))

    def _loaded_now(self) -> _Loaded | None:
        task = self._load_task
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result()

    async def _load(self) -> _Loaded:
        loaded = self._loaded_now()
        if loaded is not None and loaded.process.ended:  # while nobody spoke to it
            await self._forget(loaded)
        if self._closed:
            raise EngineUnavailable("The engine is closed.")
        task = self._load_task
        if task is None or (task.done() and self._loaded_now() is None):
            task = self._load_task = asyncio.create_task(self._start())
        return await result_of(task, closed="The engine was closed while its model was loading.")

    async def _start(self) -> _Loaded:
        from qsum_lsp.engines.llama.chat import ChatEncoder
        from qsum_lsp.engines.llama.client import LlamaClient

        self._failure = ""
        try:
            _check_file(self._model_path)
            adapter_file = str(adapter_path(self._adapter)) if self._adapter else ""
            if self._state_folder is None:
                self._state_folder = tempfile.TemporaryDirectory(
                    prefix="qsum-llama-", ignore_cleanup_errors=True
                )
            api_key = secrets.token_urlsafe(24)
            process = WorkerProcess(
                WorkerConfig(
                    model_path=str(self._model_path),
                    adapter_path=adapter_file,
                    slots=_SLOTS,
                    context_tokens=self._identity.context_tokens,
                    batch_tokens=_BATCH_TOKENS,
                    threads=self._threads or default_threads(),
                    state_folder=f"{self._state_folder.name}/",
                    api_key=api_key,
                )
            )
            try:
                url, device = await process.ready()
            except BaseException:
                await process.end()
                raise
        except EngineUnavailable as error:
            self._failure = str(error)
            raise
        except OSError as error:
            self._failure = f"The model process could not be started: {error}"
            raise EngineUnavailable(self._failure) from error
        client = LlamaClient(url, api_key)
        prefixes = Prefixes(client, Path(self._state_folder.name))
        return _Loaded(process, client, ChatEncoder(client), device, prefixes)

    async def _unload(self, loaded: _Loaded, why: EngineFailed | EngineUnavailable) -> None:
        loaded.slots.fail_waiting(why)
        await loaded.process.end()
        loaded.prefixes.remove_all()
        await loaded.client.aclose()


def _check_file(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError:
        raise EngineUnavailable(
            f"{path}: there is no model file here. Pull the model with `qsum models pull`."
        ) from None
    except OSError as error:
        raise EngineUnavailable(f"{path}: the model file cannot be read ({error.strerror}).") from error
    if magic != b"GGUF":
        raise EngineUnavailable(
            f"{path}: this is no GGUF file. Pull the model with `qsum models pull`, or name a .gguf file."
        )
