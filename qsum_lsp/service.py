"""The one place where settings become an engine and a summariser."""

from dataclasses import astuple, replace
from typing import Self

from qsum_lsp.engines.protocol import Engine
from qsum_lsp.settings import Settings
from qsum_lsp.summaries import Summarizer, SummaryOptions, TextStore

_DEFAULTS = Settings()


def create_engine(settings: Settings) -> Engine:
    """The engine that ``settings`` ask for, not loaded yet. Raises EngineUnavailable, UsageError."""
    raise NotImplementedError


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

    def __init__(self, store: TextStore) -> None:
        self._store = store
        self._summarizers: dict[tuple[object, ...], Summarizer] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for summarizer in self._summarizers.values():
            await summarizer.engine.aclose()

    def summarizer(self, settings: Settings) -> Summarizer:
        """The summariser for ``settings``. Raises EngineUnavailable, UsageError."""
        key = _engine_settings(settings)
        if key not in self._summarizers:
            self._summarizers[key] = Summarizer(create_engine(settings), self._store)
        return self._summarizers[key]


def _engine_settings(settings: Settings) -> tuple[object, ...]:
    """``settings`` without what no engine depends on."""
    return astuple(
        replace(
            settings,
            strategy=_DEFAULTS.strategy,
            key=None,
            max_chars=None,
            min_words=_DEFAULTS.min_words,
            include=(),
            exclude=(),
            hover_wait_ms=0,
        )
    )
