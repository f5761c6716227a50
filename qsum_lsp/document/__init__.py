"""Markdown text to sections: pure, without I/O, and knowing nothing of engines."""

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
