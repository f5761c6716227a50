"""What the server has seen of each document's summaries, so that it can tell stale ones from missing ones."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from qsum_lsp.document import Section
from qsum_lsp.lsp.documents import Snapshot
from qsum_lsp.summaries import PAGE, SectionSummary

_MOST_DOCUMENTS = 100

Name = tuple[str, ...]
"""The titles down to a section; empty for the page."""


@dataclass(frozen=True, slots=True)
class Known:
    """The last summary of a section and the text it was made from."""

    summary: SectionSummary
    text_hash: int


class KnownSummaries:
    """The last summaries by document and section; a section is known by its titles, so it may move.

    A document is remembered when it is closed, too, since it may be opened again or under another name.
    """

    def __init__(self) -> None:
        self._by_uri: OrderedDict[str, dict[Name, Known]] = OrderedDict()

    def keep(self, snapshot: Snapshot, summary: SectionSummary) -> None:
        """Remember a summary that holds for ``snapshot``."""
        name = _name(snapshot, summary.section_id)
        if name is not None:
            known = Known(summary, hash(snapshot.text_of(summary.section_id)))
            self._by_uri.setdefault(snapshot.uri, {})[name] = known
            self._by_uri.move_to_end(snapshot.uri)
            if len(self._by_uri) > _MOST_DOCUMENTS:
                self._by_uri.popitem(last=False)

    def last(self, snapshot: Snapshot, section_id: str) -> SectionSummary | None:
        """The last summary of a section, whether it holds or not."""
        name = _name(snapshot, section_id)
        known = self._by_uri.get(snapshot.uri, {}).get(name) if name is not None else None
        return known.summary if known else None

    def stale(self, snapshot: Snapshot) -> list[str]:
        """The ids of the sections that had a summary and changed since."""
        names = self._by_uri.get(snapshot.uri)
        if not names:
            return []
        found = []
        for titles, section in _named(snapshot.document.sections, ()):
            known = names.get(titles)
            if known is not None and known.text_hash != hash(snapshot.document.text_of(section)):
                found.append(section.id)
        page = names.get(())
        if page is not None and page.text_hash != hash(snapshot.text_of(PAGE)):
            found.append(PAGE)
        return found

    def rename(self, old_uri: str, new_uri: str) -> None:
        """A file has another name now."""
        if old_uri in self._by_uri:
            self._by_uri[new_uri] = self._by_uri.pop(old_uri)

    def forget(self, uri: str | None = None) -> None:
        """Forget a document, or all."""
        if uri is None:
            self._by_uri.clear()
        else:
            self._by_uri.pop(uri, None)


def _named(sections: Iterable[Section], above: Name) -> Iterator[tuple[Name, Section]]:
    """All sections with their names, in document order."""
    for section in sections:
        name = (*above, section.title)
        yield name, section
        yield from _named(section.children, name)


def _name(snapshot: Snapshot, section_id: str) -> Name | None:
    if section_id == PAGE:
        return ()
    section = snapshot.section(section_id)
    return snapshot.titles(section) if section else None
