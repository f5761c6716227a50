"""The one place where settings become an engine and a summariser."""

import importlib
import importlib.util
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from qsum_lsp.engines.protocol import Engine, EngineIdentity
from qsum_lsp.errors import EngineUnavailable
from qsum_lsp.settings import Settings
from qsum_lsp.settings.values import EngineName
from qsum_lsp.summaries.values import SummaryOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from qsum_lsp.engines.host.place import EnginePlace
    from qsum_lsp.summaries import Summarizer, TextStore  # the engine process needs no summariser

_LLAMA_CONTEXT = 4096
_SHARED_ENGINE_SETTINGS = (
    "engine",
    "model",
    "device",
    "quantization",
    "attention",
    "compile",
    "speculation",
    "draft_model",
    "context_tokens",
    "memory_mib",
    "idle_minutes",
)
_ENGINE_SETTINGS = (*_SHARED_ENGINE_SETTINGS, "url", "api_key_env", "engine_sharing")


def create_engine(settings: Settings) -> Engine:
    """The engine that ``settings`` ask for, not loaded yet: shared with other processes where it has a model here.

    Raises EngineUnavailable, UsageError.
    """
    if not _is_shared(settings):
        return create_local_engine(settings)
    from qsum_lsp.engines.host.launcher import Launcher
    from qsum_lsp.engines.host.place import EnginePlace
    from qsum_lsp.engines.host.shared import SharedEngine

    settings = shared_settings(settings)
    identity = engine_identity(settings)
    place = EnginePlace.of(settings, identity)
    return SharedEngine(Launcher(place, engine_command(settings, place)), identity)


def engine_identity(settings: Settings) -> EngineIdentity:
    """What the engine in a process of ``settings`` will say of itself, as far as that is known before it is loaded.

    Never imports PyTorch. Raises EngineUnavailable, UsageError.
    """
    if engine_name(settings) != "torch":
        return create_local_engine(settings).identity
    _require_torch()
    from qsum_lsp.engines.torch.identity import identity_of
    from qsum_lsp.engines.torch.options import TorchOptions

    return identity_of(TorchOptions.from_settings(settings))


def import_client(settings: Settings) -> None:
    """Import what the first request to a shared engine needs; about 0.1 s, which a hover need not wait for."""
    if _is_shared(settings):
        for module in ("qsum_lsp.engines.host.connection", "httpcore", "anyio.streams.tls"):
            importlib.import_module(module)


def _is_shared(settings: Settings) -> bool:
    return settings.engine_sharing and engine_name(settings) not in {"remote", "extractive"}


def shared_settings(settings: Settings) -> Settings:
    """What a shared engine depends on, the same for all clients wherever they run: paths are absolute."""
    chosen = {name: getattr(settings, name) for name in _SHARED_ENGINE_SETTINGS}
    for name in ("model", "draft_model"):
        if chosen[name] and os.path.exists(path := os.path.expanduser(chosen[name])):
            chosen[name] = os.path.abspath(path)
    return Settings(**chosen | {"engine": engine_name(settings)})


def engine_command(settings: Settings, place: "EnginePlace") -> list[str]:
    """The command line of the shared engine for ``settings``, which are ``shared_settings``.

    It names ``place``: after an upgrade or with a new model file the process would find another.
    """
    chosen = {name: getattr(settings, name) for name in _SHARED_ENGINE_SETTINGS}
    command = [sys.executable, "-P", "-m", "qsum_lsp", "engine", "run"]
    return [*command, "--place", place.name, "--settings", json.dumps(chosen)]


def create_local_engine(settings: Settings) -> Engine:
    """The engine itself, in this process. Raises EngineUnavailable, UsageError."""
    match engine_name(settings):
        case "remote":
            from qsum_lsp.engines.remote import RemoteEngine

            return RemoteEngine(settings)
        case "extractive":
            from qsum_lsp.engines.extractive import ExtractiveEngine

            return ExtractiveEngine()
        case "torch":
            from qsum_lsp.engines.smaller import SmallerWhereNeeded

            ways: list[tuple[str, Callable[[], Engine]]] = [("The model", lambda: _torch_engine(settings))]
            if settings.quantization != "nf4":
                nf4 = replace(settings, quantization="nf4")
                ways.append(("its 4-bit form (nf4)", lambda: _torch_engine(nf4)))
            ways.append(("llama.cpp on the CPU", lambda: _llama_engine(settings)))
            return SmallerWhereNeeded(ways)
        case _:
            return _llama_engine(settings)


def engine_name(settings: Settings) -> EngineName:
    """The engine that ``auto`` stands for on this machine; never ``auto``. Imports no engine."""
    if settings.engine != "auto":
        return settings.engine
    return "torch" if _cuda_device() and _importable("torch", "transformers") else "llama"


def model_to_pull(settings: Settings) -> str | None:
    """The model that has to be downloaded before the engine can load; None where nothing has to be.

    Raises UsageError for an unknown model.
    """
    from qsum_lsp import models

    if engine_name(settings) != "llama" or models.locate(settings.model) is not None:
        return None
    return settings.model


def _llama_engine(settings: Settings) -> Engine:
    from qsum_lsp import models
    from qsum_lsp.engines.llama import LlamaEngine
    from qsum_lsp.models.files import own_path

    model = models.find(settings.model)
    if isinstance(model, Path):
        path, digest = model, models.model_hash(model)
        known = next((entry for entry in models.catalogue() if entry.sha256 == digest), None)
    else:
        # Known from the catalogue, so that cached summaries are found without the file.
        path, digest, known = models.locate(model.alias) or own_path(model), model.sha256, model
    context = settings.context_tokens or _LLAMA_CONTEXT
    return LlamaEngine(
        path,
        model_name=known.alias if known else path.name,
        model_hash=digest,
        adapter=known.adapter if known else None,
        context_tokens=min(context, known.context_tokens) if known else context,
    )


def _torch_engine(settings: Settings) -> Engine:
    _require_torch()
    from qsum_lsp.engines.torch import TorchOptions, ahead

    options = TorchOptions.from_settings(settings)
    ahead.begin(options)
    from qsum_lsp.engines.torch import TorchEngine  # imports PyTorch

    return TorchEngine(options)


def _require_torch() -> None:
    if not _importable("torch", "transformers"):
        raise EngineUnavailable(
            '`engine = "torch"` needs PyTorch and transformers. Run `pip install "qsum-lsp[gpu]"`, '
            'or use `engine = "llama"`.'
        )


def _importable(*names: str) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in names)


def _cuda_device() -> bool:
    """Whether an NVIDIA driver is there and not hidden; asking CUDA itself would cost its initialisation."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in {"", "-1"}:
        return False
    if sys.platform == "win32":
        return Path(os.environ.get("SYSTEMROOT", "C:\\Windows"), "System32", "nvcuda.dll").exists()
    return os.path.exists("/dev/nvidiactl") or os.path.exists("/usr/lib/wsl/lib/libcuda.so.1")


def summary_options(settings: Settings) -> SummaryOptions:
    """What ``settings`` say of the summaries themselves."""
    defaults = SummaryOptions()
    return SummaryOptions(
        strategy=settings.strategy,
        min_words=settings.min_words,
        page_max_chars=settings.max_chars or defaults.page_max_chars,
    )


class Service:
    """Engines and summarisers over one store, for as long as a command or a server runs.

    Settings that ask for the same engine share one, and its summariser.
    """

    def __init__(self, store: "TextStore") -> None:
        self._store = store
        self._summarizers: dict[tuple[object, ...], Summarizer] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for summarizer in self._summarizers.values():
            await summarizer.engine.aclose()

    def summarizer(self, settings: Settings) -> "Summarizer":
        """The summariser for ``settings``. Raises EngineUnavailable, UsageError."""
        from qsum_lsp.summaries import Summarizer

        key = tuple(getattr(settings, name) for name in _ENGINE_SETTINGS)
        if key not in self._summarizers:
            self._summarizers[key] = Summarizer(create_engine(settings), self._store)
        return self._summarizers[key]
