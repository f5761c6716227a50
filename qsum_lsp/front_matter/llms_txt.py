"""``llms.txt``: the pages' titles and summaries for language models, in the form that llmstxt.org describes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from qsum_lsp.document import parse
from qsum_lsp.document.page_title import page_title
from qsum_lsp.errors import FileError
from qsum_lsp.files import read_text
from qsum_lsp.files.replace import replace_file
from qsum_lsp.front_matter.page import Page
from qsum_lsp.front_matter.scalar import one_line

SIGNATURE = "<!-- Written by qsum: change the pages and run qsum update with --llms-txt again. -->"
"""The last line: a file without it was written by somebody else and stays as it is."""

_INDEX_NAMES = ("_index", "index", "readme")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A page as it is listed. ``link`` is relative to the folder of ``llms.txt``, with forward slashes."""

    link: str
    title: str
    summary: str

    @property
    def folder(self) -> str:
        """The link without the file's name."""
        return self.link.rpartition("/")[0]

    @property
    def is_index(self) -> bool:
        """True for the page that stands for its folder."""
        return self.link.rpartition("/")[2].rpartition(".")[0].lower() in _INDEX_NAMES


def render(pages: Sequence[Listed], *, name: str) -> str:
    """The file's text: a title, what the site is about, and a section of links for each folder.

    Title and quotation come from the index page of the top folder, else the title is ``name``.
    """
    home = next((page for page in pages if page.is_index and not page.folder), None)
    lines = [f"# {one_line(home.title) if home and home.title else one_line(name)}"]
    if home is not None and home.summary:
        lines += ["", f"> {one_line(home.summary)}"]
    by_folder: dict[str, list[Listed]] = {}
    for page in sorted(pages, key=lambda page: (page.folder, not page.is_index, page.link)):
        if page is not home:
            by_folder.setdefault(page.folder, []).append(page)
    for folder, members in by_folder.items():
        index = next((page for page in members if page.is_index), None)
        heading = index.title if index and index.title else folder or "Pages"
        lines += ["", f"## {one_line(heading)}", ""]
        lines += [_line(page) for page in members]
    return "\n".join([*lines, "", SIGNATURE, ""])


def _line(page: Listed) -> str:
    title = one_line(page.title or page.link.rpartition("/")[2]).replace("[", "\\[").replace("]", "\\]")
    summary = f": {one_line(page.summary)}" if page.summary else ""
    return f"- [{title}]({quote(page.link)}){summary}"


class LlmsTxt:
    """Collects the pages of a run, then writes the file ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pages: list[Listed] = []

    def add(self, path: Path, page: Page, summary: str) -> None:
        """List ``page``, which stands at ``path``."""
        link = os.path.relpath(path.absolute(), self.path.absolute().parent).replace(os.sep, "/")
        printable_link = os.fsencode(link).decode("utf-8", "replace")
        self._pages.append(Listed(link=printable_link, title=page_title(parse(page.text)), summary=summary))

    def write(self, *, force: bool) -> bool:
        """Write the file where that changes it; was it changed?

        Raises FileError where it cannot be written, or where somebody else wrote it, unless ``force``.
        """
        old = read_text(self.path) if os.path.exists(self.path) else None
        if old is not None and SIGNATURE not in old and not force:
            raise FileError(f"{self.path}: was not written by qsum; --force replaces it.")
        folder = self.path.absolute().parent
        new = render(self._pages, name=folder.name)
        if new == old:
            return False
        expected = old.encode("utf-8") if old is not None else None
        replace_file(self.path, new.encode("utf-8"), expected=expected, tree=folder)
        return True
