"""The one place where settings become an engine, a store and a summariser."""

from qsum_lsp.engines.protocol import Engine
from qsum_lsp.settings.values import Settings
from qsum_lsp.summaries import Summarizer


def create_engine(settings: Settings) -> Engine:
    """The engine that ``settings`` ask for, not loaded yet. Raises EngineUnavailable, UsageError."""
    raise NotImplementedError


def create_summarizer(settings: Settings) -> Summarizer:
    """A summariser over that engine and the user's store."""
    raise NotImplementedError
