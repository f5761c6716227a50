"""What the server has seen of each document's summaries, so that it can tell stale ones from missing ones."""

from collections import OrderedDict
from dataclasses import dataclass

from qsum_lsp.lsp.documents import SectionName, Snapshot
from qsum_lsp.settings import Settings
from qsum_lsp.summaries import SectionSummary

_MOST_DOCUMENTS = 100


@dataclass(frozen=True, slots=True)
class Known:
    """The last summary of a section and what it was made from: the text, the page's title, the settings."""

    summary: SectionSummary
    text_hash: int
    title: str
    settings: Settings


class KnownSummaries:
    """The last summaries by document and section; a section is known by its name, so it may move.

    A document is remembered when it is closed, too, since it may be opened again or under another name.
    """

    def __init__(self) -> None:
        self._by_uri: OrderedDict[str, dict[SectionName, Known]] = OrderedDict()

    def keep(self, snapshot: Snapshot, settings: Settings, summary: SectionSummary) -> None:
        """Remember a summary that holds for ``snapshot`` under ``settings``."""
        name = snapshot.names.get(summary.section_id)
        if name is not None:
            text_hash = hash(snapshot.text_of(summary.section_id))
            known = Known(summary, text_hash, snapshot.title, settings)
            self._by_uri.setdefault(snapshot.uri, {})[name] = known
            self._by_uri.move_to_end(snapshot.uri)
            if len(self._by_uri) > _MOST_DOCUMENTS:
                self._by_uri.popitem(last=False)

    def last(self, snapshot: Snapshot, section_id: str) -> SectionSummary | None:
        """The last summary of a section, whether it holds or not."""
        name = snapshot.names.get(section_id)
        known = self._by_uri.get(snapshot.uri, {}).get(name) if name is not None else None
        return known.summary if known else None

    def changed(self, snapshot: Snapshot, settings: Settings) -> list[str]:
        """The ids of the sections whose last summary was made from something else; it may hold all the same."""
        by_name = self._by_uri.get(snapshot.uri)
        if not by_name:
            return []
        return [
            section_id
            for section_id, name in snapshot.names.items()
            if (known := by_name.get(name))
            and (
                known.text_hash != hash(snapshot.text_of(section_id))
                or known.title != snapshot.title
                or known.settings != settings
            )
        ]

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
