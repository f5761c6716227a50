"""No model: the answer is the sentence of the source that tells most."""

from qsum_lsp.engines.extractive.engine import ExtractiveEngine

__all__ = ["ExtractiveEngine"]
