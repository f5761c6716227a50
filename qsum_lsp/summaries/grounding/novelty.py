"""Claims from somewhere else: too few of their words stand in the source."""

from collections.abc import Iterator

from qsum_lsp.summaries.grounding.reading import Reading

_LARGEST_SHARE = 0.5
_FEWEST = 3


def foreign_words(claim: str, reading: Reading) -> Iterator[str]:
    """The words of ``claim`` that the source lacks, where they are too many for a rewording."""
    content = list(dict.fromkeys(reading.content(claim)))
    foreign = [word for word in content if not reading.places_of(word)]
    if len(foreign) >= _FEWEST and len(foreign) > _LARGEST_SHARE * len(content):
        yield f"these words are not in the text: {', '.join(foreign)}"
