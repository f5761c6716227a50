"""Text too long for one prompt, cut into chunks."""

from qsum_lsp.summaries.chunking.pack import Chunk, pack
from qsum_lsp.summaries.chunking.units import Unit, leaves, split_units

__all__ = ["Chunk", "Unit", "leaves", "pack", "split_units"]
