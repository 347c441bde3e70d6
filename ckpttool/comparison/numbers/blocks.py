"""Compares blocks of which the bytes differ: the quick way or the careful one."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Iterable, Sequence

import numpy as np

from ckpttool.comparison.numbers import floats, general
from ckpttool.comparison.numbers.stretches import Block
from ckpttool.comparison.numbers.tally import Tally
from ckpttool.tensors.statistics import Moments

if TYPE_CHECKING:
    from ckpttool.comparison.numbers.tolerance import Tolerance
    from ckpttool.tensors.dtypes import DType


class Blocks:
    """A thread's means of comparison, with its scratch memory.

    Args:
        tolerance: pairs outside of it are counted; ``None`` to count none.
        memory: room for a block of float32 of either side.
    """

    def __init__(self, tolerance: Tolerance | None, memory: bytearray) -> None:
        self._tolerance = tolerance
        self._floats = floats.FloatBlocks(memory)

    def add(self, tally: Tally, block: Block) -> None:
        """Compare a block of a large tensor, and add it to the tally."""
        with np.errstate(all="ignore"):  # NaN and infinity are counted, so numpy need not warn
            for part in block.parts(floats.room(block.dtypes)):
                if self._floats.add(tally, part, self._tolerance):
                    continue
                for small in part.parts(general.BLOCK):
                    found = general.tallies_of(small, [small.length], self._tolerance, tally)
                    tally.merge(found[0])

    def tallies_of(self, block: Block, lengths: Sequence[int]) -> list[Tally]:
        """Compare small tensors, one after the other in a block; the result is one of each."""
        with np.errstate(all="ignore"):
            return general.tallies_of(block, lengths, self._tolerance)


def norm_of(dtype: DType, blocks: Iterable[memoryview]) -> tuple[int, float]:
    """Return the number of finite elements, and their norm."""
    with np.errstate(all="ignore"):
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
            tally.merge(general.tallies_of(part, [part.length], None, tally)[0])
    return tally.compared, tally.norm_left
