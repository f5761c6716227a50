"""Markdown files on disk: finding, reading and replacing them."""

from qsum_lsp.files.discover import discover
from qsum_lsp.files.read import read_text
from qsum_lsp.files.walk import PAGE_SUFFIXES, is_excluded, is_walked

__all__ = ["PAGE_SUFFIXES", "discover", "is_excluded", "is_walked", "read_text"]
