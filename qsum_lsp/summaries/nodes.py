"""A document as the tree of what gets a summary: the page on top, the sections below."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from qsum_lsp.document import Document, Section
from qsum_lsp.document.inserted_summary import without_inserted_summary
from qsum_lsp.document.page_title import page_title
from qsum_lsp.summaries.keys import digest
from qsum_lsp.summaries.values import PAGE

_LONGEST_TITLE = 200  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A section or the page. All text is normalised Markdown.

    ``headings`` is the path of titles that the prompt shows; ``heading`` the heading's own Markdown; ``own``
    what no child covers, but for a summary that was inserted below the heading. ``content_digest`` stands for own text and children, ``content_size`` is their size
    in UTF-8 bytes; the heading counts for the parent alone.
    """

    id: str
    title: str
    headings: tuple[str, ...]
    heading: str
    own: str
    children: tuple["Node", ...]
    content_digest: str
    content_size: int
    has_text: bool

    @property
    def is_page(self) -> bool:
        """True for the node above the top-level sections."""
        return self.id == PAGE

    def walk(self) -> Iterator["Node"]:
        """This node and all below it, in document order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def content(self) -> str:
        """Own text and children with their headings."""
        return "\n\n".join(filter(None, self._pieces()))

    def _pieces(self) -> Iterator[str]:
        yield self.own
        for child in self.children:
            yield child.heading
            yield from child._pieces()


def build_nodes(document: Document) -> dict[str, Node]:
    """The nodes of ``document`` by id, in document order, the page last.

    Where one top-level section holds the whole page, the page is made from what that section is made from, so
    that its summary never is a summary of one summary.
    """
    title = _short(page_title(document))
    path = (title,) if title else ()
    top = tuple(_build(document, section, path) for section in document.sections)
    own = ""
    children = top
    headed = [node for node in top if node.heading]
    if len(headed) == 1:
        own = headed[0].own
        children = (*(node for node in top if not node.heading), *headed[0].children)
    measure = _measure(own, children)
    page = Node(
        id=PAGE,
        title=title,
        headings=path,
        heading="",
        own=own,
        children=children,
        content_digest=measure.digest,
        content_size=measure.size,
        has_text=measure.has_text,
    )
    return {node.id: node for root in top for node in root.walk()} | {PAGE: page}


def build_some_nodes(document: Document, ids: Collection[str]) -> dict[str, Node]:
    """The nodes of ``ids`` alone, the same as ``build_nodes`` makes; the rest of the document is not read."""
    if PAGE in ids:
        nodes = build_nodes(document)
        return {node_id: node for node_id, node in nodes.items() if node_id in ids}
    title = _short(page_title(document))
    found: dict[str, Node] = {}
    for section_id in ids:
        path: tuple[str, ...] = (title,) if title else ()
        siblings = document.sections
        parts = section_id.split(".")
        for depth in range(1, len(parts) + 1):
            prefix = ".".join(parts[:depth])
            section = next((sibling for sibling in siblings if sibling.id == prefix), None)
            if section is None:
                break
            if depth == len(parts):
                found[section_id] = _build(document, section, path)
            path = _headings(path, _short(section.title))
            siblings = section.children
    return found


def normalize(text: str) -> str:
    """``text`` without what no summary depends on: trailing white space, the kind of line ends, blank runs."""
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    kept = [line for index, line in enumerate(lines) if line or (index and lines[index - 1])]
    return _encodable("\n".join(kept).strip("\n"))


def byte_length(text: str) -> int:
    """The size of ``text`` in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def _encodable(text: str) -> str:
    """``text`` without the lone surrogates that an editor can send, which are no text that could be encoded."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _short(title: str) -> str:
    """``title`` as a prompt and a key take it in."""
    return _encodable(title[:_LONGEST_TITLE])


def _headings(path: tuple[str, ...], title: str) -> tuple[str, ...]:
    return path if not title or path[-1:] == (title,) else (*path, title)


def _build(document: Document, section: Section, path: tuple[str, ...]) -> Node:
    title = _short(section.title)
    headings = _headings(path, title)
    children = tuple(_build(document, child, headings) for child in section.children)
    own = document.own_text_of(section)
    own = normalize(without_inserted_summary(own) if section.level else own)
    measure = _measure(own, children)
    return Node(
        id=section.id,
        title=title,
        headings=headings,
        heading=normalize(document.text[section.start : section.content_start]),
        own=own,
        children=children,
        content_digest=measure.digest,
        content_size=measure.size,
        has_text=measure.has_text,
    )


@dataclass(frozen=True, slots=True)
class _Measure:
    digest: str
    size: int
    has_text: bool


def _measure(own: str, children: tuple[Node, ...]) -> _Measure:
    size = byte_length(own)
    covered = [own]
    for child in children:
        size += byte_length(child.heading) + child.content_size + 4
        covered += (child.heading, child.content_digest)
    has_text = bool(own) or any(child.has_text for child in children)
    return _Measure(digest("content", *covered), size, has_text)
