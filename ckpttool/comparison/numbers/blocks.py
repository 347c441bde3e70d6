"""Blocks of bytes of both sides, and which way each goes: equal, quick, or careful."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Iterable

import numpy as np

from ckpttool.comparison.numbers import floats, general
from ckpttool.comparison.numbers.stretches import Block
from ckpttool.comparison.numbers.tally import Tally
from ckpttool.comparison.numbers.ulps import bits_of
from ckpttool.tensors.memory import allocate
from ckpttool.tensors.statistics import Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.numbers.general import Tolerance
    from ckpttool.tensors.dtypes import DType

#: Bytes of one side that are read and compared at once.
BLOCK = 4 * floats.BLOCK
# Pairs from which on the quick way is quicker: below, its many calls cost more than they save.
_QUICK = 1 << 14
# Bytes by which blocks show that they may be equal, before all are looked at.
_PEEK = 64


class Blocks:
    """What a thread compares in and with."""

    def __init__(self, tolerance: Tolerance | None) -> None:
        self._tolerance = tolerance
        self._buffers: dict[tuple[int, int], memoryview] = {}
        self._differs = np.empty(BLOCK, np.bool_)
        self._floats = floats.FloatBlocks()

    def buffer(self, side: int, size: int, dtypes: tuple[DType, DType]) -> memoryview:
        """Return the same memory every time: that where elements of such types are compared."""
        if size == BLOCK and floats.is_native(dtypes):
            return self._floats.memory(side)
        key = side, size
        if key not in self._buffers:
            self._buffers[key] = allocate(size)
        return self._buffers[key]

    def add(self, tally: Tally, block: Block) -> None:
        """Take in a block of at most :data:`BLOCK` bytes a side."""
        left, right = block.raw
        dtype, differs = block.dtypes[0], None
        if dtype != block.dtypes[1]:
            self._add_unequal(tally, block, None)
            return
        if bytes(left[:_PEEK]) == bytes(right[:_PEEK]):
            differs = self._compare_bits(block)
            if not differs.any():
                tally.add_equal(block.first, len(differs))
                return
        if dtype.has_numbers:
            self._add_unequal(tally, block, differs)
            return
        if differs is None:
            differs = self._compare_bits(block)
        tally.elements += len(differs)
        tally.changed += int(np.count_nonzero(differs))

    def _add_unequal(self, tally: Tally, block: Block, differs: NDArray[np.bool_] | None) -> None:
        for part in block.parts(floats.room(block.dtypes)):
            if part.length >= _QUICK and self._floats.add(tally, part, self._tolerance):
                continue
            if block.dtypes[0] == block.dtypes[1] and differs is None:
                differs = self._compare_bits(block)
            start = part.first - block.first
            known = None if differs is None else differs[start : start + part.length]
            self._add_carefully(tally, part, known)

    def _add_carefully(self, tally: Tally, block: Block, differs: NDArray[np.bool_] | None) -> None:
        tally.elements += block.length
        for part in block.parts(general.BLOCK):
            start = part.first - block.first
            known = None if differs is None else differs[start : start + part.length]
            general.add_block(tally, part, known, self._tolerance)

    def _compare_bits(self, block: Block) -> NDArray[np.bool_]:
        """Return which elements differ; of a type below a byte, which bytes do."""
        dtype = block.dtypes[0]
        if dtype.bits % 8:
            left, right = (np.frombuffer(data, np.uint8) for data in block.raw)
        else:
            left, right = (bits_of(dtype, data) for data in block.raw)
        differs = self._differs[: len(left)]
        np.not_equal(left, right, out=differs)
        if dtype.kind == "complex":
            return differs[::2] | differs[1::2]
        return differs


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
        for part in Block((dtype, dtype), (raw, raw), 0).parts(general.BLOCK):
            general.add_block(tally, part, np.zeros(part.length, np.bool_), None)
    return tally.compared, tally.norm_left
