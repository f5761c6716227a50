"""Engines behind HTTP: any server that speaks the OpenAI chat API."""

from qsum_lsp.engines.remote.engine import RemoteEngine

__all__ = ["RemoteEngine"]
