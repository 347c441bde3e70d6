"""Blocks of bytes of both sides, and which way each goes: equal, quick, or careful."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Iterable

import numpy as np

from ckpttool.arena import allocate
from ckpttool.comparison import floats, general
from ckpttool.comparison.pieces import has_numbers, width
from ckpttool.comparison.places import bits_of
from ckpttool.comparison.tally import Tally
from ckpttool.moments import Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.general import Tolerance
    from ckpttool.tensors import DType

#: Bytes of one side that are read and compared at once.
BLOCK = 4 * floats.BLOCK
# Bytes by which blocks show that they may be equal, before all are looked at.
_PEEK = 64


class Blocks:
    """What a thread compares in and with."""

    def __init__(self, tolerance: Tolerance | None) -> None:
        self._tolerance = tolerance
        self._buffers: dict[tuple[int, int], memoryview] = {}
        self._differs = np.empty(BLOCK, np.bool_)
        self._floats = floats.FloatBlocks()

    def buffer(self, side: int, size: int) -> memoryview:
        """Return the same memory every time."""
        key = side, size
        if key not in self._buffers:
            self._buffers[key] = allocate(size)
        return self._buffers[key]

    def add(
        self,
        tally: Tally,
        dtypes: tuple[DType, DType],
        raw: tuple[memoryview, memoryview],
        first: int,
    ) -> None:
        """Take in a block, at most :data:`BLOCK` bytes a side; ``first`` is its first element."""
        if dtypes[0] != dtypes[1]:
            self._add_unequal(tally, dtypes, raw, first, None)
            return
        dtype, differs = dtypes[0], None
        if bytes(raw[0][:_PEEK]) == bytes(raw[1][:_PEEK]):
            differs = self._compare_bits(dtype, raw)
            if not differs.any():
                tally.add_equal(first, len(differs))
                return
        if has_numbers(dtype):
            self._add_unequal(tally, dtypes, raw, first, differs)
            return
        differs = self._compare_bits(dtype, raw)
        tally.elements += len(differs)
        tally.changed += int(np.count_nonzero(differs))

    def _add_unequal(
        self,
        tally: Tally,
        dtypes: tuple[DType, DType],
        raw: tuple[memoryview, memoryview],
        first: int,
        differs: NDArray[np.bool_] | None,
    ) -> None:
        for start, part in _parts(dtypes, raw, floats.room(dtypes)):
            if self._floats.add(tally, dtypes, part, first + start, self._tolerance):
                continue
            if dtypes[0] == dtypes[1] and differs is None:
                differs = self._compare_bits(dtypes[0], raw)
            count = len(part[0]) // dtypes[0].itemsize
            known = None if differs is None else differs[start : start + count]
            self._add_carefully(tally, dtypes, part, first + start, known)

    def _add_carefully(
        self,
        tally: Tally,
        dtypes: tuple[DType, DType],
        raw: tuple[memoryview, memoryview],
        first: int,
        differs: NDArray[np.bool_] | None,
    ) -> None:
        tally.elements += len(raw[0]) // dtypes[0].itemsize
        for start, part in _parts(dtypes, raw, general.BLOCK):
            known = None if differs is None else differs[start : start + general.BLOCK]
            general.add_block(tally, dtypes, part, first + start, known, self._tolerance)

    def _compare_bits(self, dtype: DType, raw: tuple[memoryview, memoryview]) -> NDArray[np.bool_]:
        """Return which elements differ; of a type below a byte, which bytes do."""
        if dtype.bits % 8:
            left, right = (np.frombuffer(data, np.uint8) for data in raw)
        else:
            left, right = (bits_of(dtype, data) for data in raw)
        differs = self._differs[: len(left)]
        np.not_equal(left, right, out=differs)
        if dtype.kind == "complex":
            return differs[::2] | differs[1::2]
        return differs


def _parts(
    dtypes: tuple[DType, DType], raw: tuple[memoryview, memoryview], most: int
) -> Iterable[tuple[int, tuple[memoryview, memoryview]]]:
    """Yield (index of the first element, bytes of both sides) of at most so many elements."""
    left, right = map(width, dtypes)
    for start in range(0, len(raw[0]) // left, most):
        end = start + most
        yield start, (raw[0][start * left : end * left], raw[1][start * right : end * right])


def norm_of(dtype: DType, blocks: Iterable[memoryview]) -> tuple[int, float]:
    """Return how many finite numbers there are, and their norm."""
    return _complex_norm(dtype, blocks) if dtype.kind == "complex" else _norm(dtype, blocks)


def _norm(dtype: DType, blocks: Iterable[memoryview]) -> tuple[int, float]:
    moments, total = Moments(dtype), 0
    for raw in blocks:
        moments.add(raw)
        total += len(raw) // dtype.itemsize
    count = total - moments.nan - moments.infinite
    return count, (moments.rms or 0.0) * sqrt(count)


def _complex_norm(dtype: DType, blocks: Iterable[memoryview]) -> tuple[int, float]:
    """Return the same of complex numbers, of which both parts have to be finite."""
    tally = Tally()
    for raw in blocks:
        for _, part in _parts((dtype, dtype), (raw, raw), general.BLOCK):
            equal = np.zeros(len(part[0]) // dtype.itemsize, np.bool_)
            general.add_block(tally, (dtype, dtype), part, 0, equal, None)
    return tally.compared, tally.norm_left
