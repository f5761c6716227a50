"""Units to chunks, as full as the limit allows."""

from collections.abc import Mapping
from dataclasses import dataclass

from qsum_lsp.summaries.chunking.units import Unit

_LEAST_OVERLAP = 0.1
_MOST_OVERLAP = 0.2


@dataclass(frozen=True, slots=True)
class Chunk:
    """The characters from ``start`` to ``end``."""

    start: int
    end: int


def pack(
    units: tuple[Unit, ...], sizes: Mapping[Unit, int], *, limit: int, overlap: bool = False
) -> list[Chunk]:
    """Chunks of at most ``limit`` tokens that cover all ``units``; ``sizes`` are the tokens of the leaves.

    A unit is cut into its parts only where it is larger than the limit. With ``overlap`` a chunk begins with the
    last units of the one before: at least 10 % of the limit where the units are small enough for that, never
    more than 20 %.
    """
    packer = _Packer(sizes, limit, overlap)
    for unit in units:
        packer.place(unit)
    packer.close()
    return packer.chunks


class _Packer:
    def __init__(self, sizes: Mapping[Unit, int], limit: int, overlap: bool) -> None:
        self.chunks: list[Chunk] = []
        self._sizes = sizes
        self._limit = limit
        self._overlap = overlap
        self._open: list[tuple[Unit, int]] = []
        self._used = 0
        self._fresh = False  # whether the open chunk holds more than overlap

    def place(self, unit: Unit) -> None:
        size = self._size(unit)
        if self._used + size > self._limit:
            if unit.parts and size > self._limit:
                for part in unit.parts:
                    self.place(part)
                return
            self.close()
            while self._open and self._used + size > self._limit:
                self._used -= self._open.pop(0)[1]
        self._open.append((unit, size))
        self._used += size
        self._fresh = True

    def close(self) -> None:
        """End the open chunk and begin the next with its overlap."""
        if self._fresh:
            self.chunks.append(Chunk(self._open[0][0].start, self._open[-1][0].end))
        tail: list[tuple[Unit, int]] = []
        used = 0
        if self._overlap:
            for unit, size in reversed(self._open):
                if used >= _LEAST_OVERLAP * self._limit or used + size > _MOST_OVERLAP * self._limit:
                    break
                tail.insert(0, (unit, size))
                used += size
        self._open, self._used, self._fresh = tail, used, False

    def _size(self, unit: Unit) -> int:
        if unit.parts:
            return sum(self._size(part) for part in unit.parts)
        return self._sizes[unit]
