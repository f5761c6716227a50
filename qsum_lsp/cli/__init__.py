"""The command line: thin commands over the core, each in a module of its own."""

from qsum_lsp.cli.main import main

__all__ = ["main"]
