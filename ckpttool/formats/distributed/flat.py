"""Flat tensors, one after the other, of which pieces make up whole parameters."""

from __future__ import annotations

from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING, Sequence

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.tensors.catalogue import Extent

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import TensorInfo


class Row:
    """Flat tensors one after the other, from which elements are taken in order."""

    def __init__(self, parts: Sequence[TensorInfo]) -> None:
        self._extents = [extent for part in parts for extent in part.extents if extent.length]
        self._width = parts[0].dtype.itemsize if parts else 1
        self._ends = list(accumulate(extent.length for extent in self._extents))
        self._at = 0
        self._place = 0

    @property
    def size(self) -> int:
        """Elements of all of them."""
        return (self._ends[-1] if self._ends else 0) // self._width

    @property
    def left(self) -> int:
        """Elements that were not taken."""
        return self.size - self._at // self._width

    def take(self, elements: int) -> list[Extent] | None:
        """Return the extents of the next elements; ``None`` if there are not so many."""
        stop = self._at + elements * self._width
        if stop > (self._ends[-1] if self._ends else 0):
            return None
        found = []
        while self._at < stop:
            extent, end = self._extents[self._place], self._ends[self._place]
            inside = extent.length - (end - self._at)
            length = min(end, stop) - self._at
            found.append(Extent(extent.source, extent.offset + inside, length))
            self._at += length
            self._place += self._at == end
        return found


def joined(name: str, shape: tuple[int, ...], rows: Sequence[Row]) -> tuple[Extent, ...]:
    """Return the extents of a parameter of which each row has a piece; the last ends in padding."""
    elements = prod(shape)
    piece = -(-elements // len(rows))
    found: list[Extent] = []
    room = elements
    for row in rows:
        extents = row.take(piece)
        if extents is None:
            raise MalformedError(
                "the processes have fewer elements than the parameters need",
                rules.DISTRIBUTED_CHUNKS,
                tensor=name,
                expected=f"{piece:,} elements of each",
                found=f"{row.left:,} left of {row.size:,}",
            )
        width = sum(extent.length for extent in extents) // piece if piece else 1
        for extent in extents:
            length = min(extent.length, room * width)
            if length:
                found.append(extent._replace(length=length))
                room -= length // width
    return tuple(found)
