"""Compares blocks of bytes of both sides: as equal bytes, or the quick or the careful way."""

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

#: Bytes of one side that are read and compared at once: a block of float32.
BLOCK = 4 * floats.BLOCK
# From this many pairs on the quick way pays; below, its many calls cost more than they save.
_QUICK = 1 << 14
# Blocks that differ mostly do so in these first bytes, which spares comparing all.
_PEEK = 64


class Blocks:
    """A thread's means of comparison, with its scratch memory."""

    def __init__(self, tolerance: Tolerance | None) -> None:
        self._tolerance = tolerance
        self._buffers: dict[tuple[int, int], memoryview] = {}
        self._differs = np.empty(BLOCK, np.bool_)
        self._floats = floats.FloatBlocks()

    def buffer(self, side: int, size: int, dtypes: tuple[DType, DType]) -> memoryview:
        """Return the memory to read a side into, the same in every call."""
        # float32 is read to where it is compared, which spares a copy.
        if size == BLOCK and floats.is_native(dtypes):
            return self._floats.memory(side)
        key = side, size
        if key not in self._buffers:
            self._buffers[key] = allocate(size)
        return self._buffers[key]

    def add(self, tally: Tally, block: Block) -> None:
        """Compare a block of at most :data:`BLOCK` bytes a side, and add it to the tally."""
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
        # The 4- and 6-bit floats: only bytes that differ can be counted.
        if differs is None:
            differs = self._compare_bits(block)
        tally.elements += len(differs)
        tally.changed += int(np.count_nonzero(differs))

    def _add_unequal(self, tally: Tally, block: Block, differs: NDArray[np.bool_] | None) -> None:
        for part in block.parts(floats.room(block.dtypes)):
            if part.length >= _QUICK and self._floats.add(tally, part, self._tolerance):
                continue
            # Only now, since the quick way has no use for it; once for all parts of the block.
            if block.dtypes[0] == block.dtypes[1] and differs is None:
                differs = self._compare_bits(block)
            tally.elements += part.length
            for small in part.parts(general.BLOCK):
                start = small.first - block.first
                flags = None if differs is None else differs[start : start + small.length]
                general.add_block(tally, small, flags, self._tolerance)

    def _compare_bits(self, block: Block) -> NDArray[np.bool_]:
        """Return which elements differ; of a type below a byte, which bytes do."""
        dtype = block.dtypes[0]
        if dtype.bits % 8:
            left, right = (np.frombuffer(data, np.uint8) for data in block.raw)
        else:
            left, right = (bits_of(dtype, data) for data in block.raw)
        differs = self._differs[: len(left)]
        np.not_equal(left, right, out=differs)
        if dtype.kind == "complex":  # compared by parts, counted by numbers
            return differs[::2] | differs[1::2]
        return differs


def norm_of(dtype: DType, blocks: Iterable[memoryview]) -> tuple[int, float]:
    """Return the number of finite elements, and their norm."""
    return _complex_norm(dtype, blocks) if dtype.kind == "complex" else _norm(dtype, blocks)


def _norm(dtype: DType, blocks: Iterable[memoryview]) -> tuple[int, float]:
    moments, total = Moments(dtype), 0
    for raw in blocks:
        moments.add(raw)
        total += len(raw) // dtype.itemsize
    count = total - moments.nan - moments.infinite
    return count, (moments.rms or 0.0) * sqrt(count)


def _complex_norm(dtype: DType, blocks: Iterable[memoryview]) -> tuple[int, float]:
    """Return the same for complex numbers, which are finite if both parts are."""
    tally = Tally()
    for raw in blocks:
        for part in Block((dtype, dtype), (raw, raw), 0).parts(general.BLOCK):
            general.add_block(tally, part, np.zeros(part.length, np.bool_), None)
    return tally.compared, tally.norm_left
