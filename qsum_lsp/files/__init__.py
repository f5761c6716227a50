"""Markdown files on disk: finding, reading and replacing them."""

from qsum_lsp.files.discover import discover
from qsum_lsp.files.read import read_text

__all__ = ["discover", "read_text"]
