"""The quick way for blocks of ordinary floats that fit in a float32: few passes, all in the caches.

Narrower types are widened, which is exact. Where a block is not ordinary (something in it is not
finite, or squares would overflow or vanish) it says so and changes nothing;
:mod:`ckpttool.comparison.numbers.general` takes it then.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpttool.comparison.numbers.outside import ToleranceCounter
from ckpttool.comparison.numbers.products import dot, dots
from ckpttool.comparison.numbers.roundings import rounds
from ckpttool.comparison.numbers.search import Search
from ckpttool.comparison.numbers.stretches import BLOCK_BYTES, is_native
from ckpttool.comparison.numbers.ulps import most_ulps
from ckpttool.tensors.numpy_arrays import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.numbers.stretches import Block
    from ckpttool.comparison.numbers.tally import Tally
    from ckpttool.comparison.numbers.tolerance import Tolerance
    from ckpttool.tensors.dtypes import DType

#: Pairs in a block.
BLOCK = BLOCK_BYTES // 4

# The same where a side is widened: that takes further memory, which each thread has for itself.
_WIDENED_BLOCK = BLOCK >> 1
# Sums of squares below this may have lost numbers whose square is no float32.
_LOW = 1e-25
# More than the factor by which sums of float32 squares may be too small.
_ROUNDED = 1.001


def room(dtypes: tuple[DType, DType]) -> int:
    """Return how many pairs make a block: few enough for six workers to stay below 150 MB."""
    return BLOCK if is_native(dtypes) else _WIDENED_BLOCK


class FloatBlocks:
    """Compares blocks of floats; one for a thread, because it has scratch memory.

    Args:
        memory: room for a block of float32 of either side. Those that were read to there are
            compared where they lie; all others are put there.
    """

    def __init__(self, memory: bytearray) -> None:
        self._sides = np.frombuffer(memory, np.float32).reshape(2, BLOCK)
        self._difference = np.empty(BLOCK, np.float32)
        scratch = np.empty((2, BLOCK), np.float32)
        flags = np.empty(BLOCK, np.bool_)
        self._outside = ToleranceCounter(scratch, flags)
        self._search = Search(scratch, flags)

    def add(self, tally: Tally, block: Block, tolerance: Tolerance | None) -> bool:
        """Add a block of pairs, not all of them equal, to ``tally``.

        Differences are computed in float32, which says where the largest may be; those are
        computed again in float64. Sums are of float32 products, added up in float64.

        Args:
            tally: what to add to.
            block: at most :func:`room` pairs.
            tolerance: pairs outside of it are counted; ``None`` to count none.

        Returns:
            Whether it was added. Blocks with numbers that are not finite, huge or tiny are not,
            nor are types other than floats of at most 32 bits.
        """
        dtypes = block.dtypes
        if not all(map(_fits_float32, dtypes)):
            return False
        sides = self._sides[:, : block.length]
        for dtype, data, row in zip(dtypes, block.raw, sides):
            _put(dtype, data, row)
        left, right = sides
        difference = self._difference[: block.length]
        np.subtract(left, right, out=difference)
        np.abs(difference, out=difference)
        bound = _add_sums(tally, sides, difference)
        if bound is None:
            return False
        if tolerance is not None:
            tally.outside += self._outside.count((left, right), difference, tolerance)
        cast = dtypes[0] != dtypes[1]
        if cast:
            _add_cast(tally, dtypes, (left, right), int(np.count_nonzero(difference)))
        native = is_native(dtypes)
        bits = self._search.add(tally, sides, difference, bound, block.first, ulps=native)
        if not cast:
            tally.changed += bits
        if not (cast or native):
            tally.add_ulp(most_ulps(dtypes[0], block.raw))
        return True


def _fits_float32(dtype: DType) -> bool:
    """Whether it is a float with a sign whose every number is a float32."""
    return dtype.encoding is not None and dtype.bits <= 32 and dtype.signed


def _put(dtype: DType, data: memoryview, row: NDArray[np.float32]) -> None:
    """Put elements into a row of float32, unless they lie there."""
    values = numbers(dtype, data, row)
    assert values is not None  # noqa: S101 (the types are known to be in the tables)
    if values.__array_interface__["data"] != row.__array_interface__["data"]:
        row[:] = values


def _add_sums(
    tally: Tally, sides: NDArray[np.float32], difference: NDArray[np.float32]
) -> float | None:
    """Add the sums of differences, left and right; return a bound on all magnitudes.

    ``None``, with nothing added, if the block is not ordinary.
    """
    squares = dots(sides, sides)
    one, other = squares.sum(axis=1, dtype=np.float64).tolist()
    apart = dot(difference, difference)
    # NaN and infinity stay what they are in sums of squares
    if not (isfinite(apart + one + other) and min(apart, one, other) > _LOW):
        return None
    # |a - b|^2 = |a|^2 + |b|^2 - 2 ab: no digits are lost where the norms are alike
    alike = one < 4 * other and other < 4 * one
    inner = (one + other - apart) / 2 if alike else dot(sides[0], sides[1])
    count = len(difference)
    tally.elements += count
    tally.compared += count
    tally.add_norms(sqrt(one), sqrt(other), sqrt(apart), inner)
    # no number is larger than the norm of its run, but for rounding
    return sqrt(float(squares.max())) * _ROUNDED


def _add_cast(
    tally: Tally,
    dtypes: tuple[DType, DType],
    sides: tuple[NDArray[Any], NDArray[Any]],
    changed: int,
) -> None:
    tally.changed += changed
    tally.widened = tally.widened and not changed
    if tally.rounds_left:
        tally.rounds_left = rounds(sides[1], sides[0], dtypes[0])
    if tally.rounds_right:
        tally.rounds_right = rounds(sides[0], sides[1], dtypes[1])
