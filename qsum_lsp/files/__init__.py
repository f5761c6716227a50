"""Markdown files on disk: finding, reading and replacing them."""

from qsum_lsp.files.discover import PAGE_SUFFIXES, discover
from qsum_lsp.files.read import read_text

__all__ = ["PAGE_SUFFIXES", "discover", "read_text"]
