"""Front matter that can be trusted: one owned key, and every other byte as it was."""

from qsum_lsp.front_matter.edit import LineStyle, TextEdit, minimal_edit, set_summary
from qsum_lsp.front_matter.errors import FrontMatterError
from qsum_lsp.front_matter.page import Page, State, read_page

__all__ = [
    "FrontMatterError",
    "LineStyle",
    "Page",
    "State",
    "TextEdit",
    "minimal_edit",
    "read_page",
    "set_summary",
]
