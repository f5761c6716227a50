"""Text as a tree of units that are kept whole where they fit: block, line, sentence, characters."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from qsum_lsp.document import split_blocks
from qsum_lsp.summaries.nodes import byte_length
from qsum_lsp.text.language import guess_language
from qsum_lsp.text.sentences import split_sentences

_WHOLE = ("code", "table", "html")  # blocks that lose their sense when cut


@dataclass(frozen=True, slots=True)
class Unit:
    """The characters from ``start`` to ``end``; ``parts``, where there are any, tile them."""

    start: int
    end: int
    parts: tuple["Unit", ...] = ()


def leaves(units: tuple[Unit, ...]) -> Iterator[Unit]:
    """The units without parts, in order."""
    for unit in units:
        if unit.parts:
            yield from leaves(unit.parts)
        else:
            yield unit


def split_units(text: str, *, max_bytes: int, by_sentence: bool) -> tuple[Unit, ...]:
    """Units that tile ``text``, each leaf of at most ``max_bytes``.

    With ``by_sentence`` prose is a row of sentences, else of blocks, where a heading belongs to the block that
    follows. A block is cut only where it is longer than ``max_bytes``: at lines, then sentences, then characters.
    """
    splitter = _Splitter(text, max_bytes)
    return tuple(splitter.sentence_units() if by_sentence else splitter.block_units())


class _Splitter:
    def __init__(self, text: str, max_bytes: int) -> None:
        self._text = text
        self._max_bytes = max_bytes
        self._language = guess_language(text)

    def block_units(self) -> Iterator[Unit]:
        headings: list[Unit] = []
        for kind, start, end in self._blocks():
            block = self._unit(start, end, self._lines)
            if kind == "heading":
                headings.append(block)
            elif headings:
                yield Unit(headings[0].start, end, (*headings, block))
                headings = []
            else:
                yield block
        yield from headings

    def sentence_units(self) -> Iterator[Unit]:
        for kind, start, end in self._blocks():
            if kind in _WHOLE:
                yield self._unit(start, end, self._lines)
            else:
                yield from self._sentences(start, end)

    def _blocks(self) -> Iterator[tuple[str, int, int]]:
        """Kind and range of each block, so that they tile the text: what stands between belongs to the one before."""
        blocks = split_blocks(self._text)
        if not blocks:
            yield "paragraph", 0, len(self._text)
            return
        # a block can begin behind a quote or list marker, which is to stay with it
        starts = [self._text.rfind("\n", 0, block.start) + 1 for block in blocks[1:]]
        bounds = (0, *starts, len(self._text))
        for block, (start, end) in zip(blocks, pairwise(bounds), strict=True):
            if start < end:
                yield block.kind, start, end

    def _unit(self, start: int, end: int, split: Callable[[int, int], Iterator[Unit]]) -> Unit:
        """One unit, with parts where it is too long to be a leaf."""
        if byte_length(self._text[start:end]) <= self._max_bytes:
            return Unit(start, end)
        return Unit(start, end, tuple(split(start, end)))

    def _lines(self, start: int, end: int) -> Iterator[Unit]:
        while start < end:
            stop = self._text.find("\n", start, end) + 1 or end
            yield self._unit(start, stop, self._sentences)
            start = stop

    def _sentences(self, start: int, end: int) -> Iterator[Unit]:
        starts = []
        at = start
        for sentence in split_sentences(self._text[start:end], self._language):
            found = self._text.find(sentence, at, end)
            if found >= 0:
                starts.append(found)
                at = found + len(sentence)
        for left, right in pairwise((start, *starts[1:], end)):
            yield self._unit(left, right, self._characters)

    def _characters(self, start: int, end: int) -> Iterator[Unit]:
        """Pieces of at most ``max_bytes``, cut behind a space where one stands in the second half."""
        most = max(1, self._max_bytes if self._text[start:end].isascii() else self._max_bytes // 4)
        while start < end:
            stop = min(start + most, end)
            if stop < end:
                space = self._text.rfind(" ", start + most // 2, stop)
                stop = space + 1 if space >= 0 else stop
            yield Unit(start, stop)
            start = stop
