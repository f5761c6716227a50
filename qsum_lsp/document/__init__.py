"""Markdown text to sections: pure, without I/O, and knowing nothing of engines."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qsum_lsp.document.blocks import Block, BlockKind, split_blocks
    from qsum_lsp.document.document import Document, parse
    from qsum_lsp.document.front_matter import FrontMatter, split_front_matter
    from qsum_lsp.document.lines import LineTable
    from qsum_lsp.document.section import Section

__all__ = [
    "Block",
    "BlockKind",
    "Document",
    "FrontMatter",
    "LineTable",
    "Section",
    "parse",
    "split_blocks",
    "split_front_matter",
]

# Loaded when first asked for: who only reads front matter need not wait for the Markdown parser.
_MODULES = {
    "Block": "qsum_lsp.document.blocks",
    "BlockKind": "qsum_lsp.document.blocks",
    "split_blocks": "qsum_lsp.document.blocks",
    "Document": "qsum_lsp.document.document",
    "parse": "qsum_lsp.document.document",
    "FrontMatter": "qsum_lsp.document.front_matter",
    "split_front_matter": "qsum_lsp.document.front_matter",
    "LineTable": "qsum_lsp.document.lines",
    "Section": "qsum_lsp.document.section",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
