"""The sections that the user looked at lately."""

from collections import OrderedDict

_KEPT = 60


class Seen:
    """The last few dozen sections by document: those whose lenses were resolved or that were hovered."""

    def __init__(self) -> None:
        self._by_uri: dict[str, OrderedDict[str, None]] = {}

    def add(self, uri: str, section_id: str) -> None:
        """A section is in view."""
        ids = self._by_uri.setdefault(uri, OrderedDict())
        ids[section_id] = None
        ids.move_to_end(section_id)
        if len(ids) > _KEPT:
            ids.popitem(last=False)

    def ids(self, uri: str) -> list[str]:
        """The sections of a document that were in view lately."""
        return list(self._by_uri.get(uri, ()))

    def forget(self, uri: str) -> None:
        """A document is closed."""
        self._by_uri.pop(uri, None)
