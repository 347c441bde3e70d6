"""The quick way for floats that fit in a float32: few passes over each block, all in the caches.

Narrower types are widened, which is exact. A block that it cannot take, of another type or with
differences beyond float32, it leaves unchanged for :mod:`ckpttool.comparison.numbers.general`.
"""

from __future__ import annotations

from math import inf, isfinite, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpttool.comparison.numbers.outside import ToleranceCounter
from ckpttool.comparison.numbers.products import dot, dots, wide_dot
from ckpttool.comparison.numbers.roundings import rounds
from ckpttool.comparison.numbers.search import Search
from ckpttool.comparison.numbers.stretches import BLOCK_BYTES, is_native
from ckpttool.comparison.numbers.ulps import bits_of, most_ulps
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
        """Add a block of pairs to ``tally``.

        Differences are computed in float32, which says where the largest may be; those are
        computed again in float64. Sums are of float32 products, added up in float64.

        Args:
            tally: what to add to.
            block: at most :func:`room` pairs.
            tolerance: pairs outside of it are counted; ``None`` to count none.

        Returns:
            Whether it was added. Types other than floats of at most 32 bits are not, nor are
            differences beyond float32, and what is not finite of two types or with a tolerance
            that takes NaN for equal.
        """
        dtypes = block.dtypes
        if not all(map(_fits_float32, dtypes)):
            return False
        sides = self._sides[:, : block.length]
        for dtype, data, row in zip(dtypes, block.raw, sides):
            _put(dtype, data, row)
        difference = np.subtract(sides[0], sides[1], out=self._difference[: block.length])
        np.abs(difference, out=difference)
        odd = None
        most = difference.max()
        if not isfinite(most):
            odd = ~np.isfinite(difference)
            if not _may_be_set_aside(dtypes, sides, odd, tolerance):
                return False
            _set_aside(tally, block, sides, difference, odd)
            most = difference.max()
        tally.elements += block.length
        if dtypes[0] != dtypes[1]:
            _add_cast(tally, dtypes, (sides[0], sides[1]), int(np.count_nonzero(difference != 0)))
        if odd is None or not odd.all():
            self._add_finite(tally, block, most, odd, tolerance)
        return True

    def _add_finite(
        self,
        tally: Tally,
        block: Block,
        most: np.float32,
        odd: NDArray[np.bool_] | None,
        tolerance: Tolerance | None,
    ) -> None:
        """Add the finite pairs of a block; the ``odd`` ones have zeros in their place.

        ``most`` is the largest difference.
        """
        sides, difference = self._sides[:, : block.length], self._difference[: block.length]
        tally.compared += block.length - (0 if odd is None else int(np.count_nonzero(odd)))
        _add_sums(tally, sides, difference)
        if tolerance is not None:
            tally.outside += self._outside.count((sides[0], sides[1]), difference, tolerance)
        native = is_native(block.dtypes)
        same = block.dtypes[0] == block.dtypes[1]
        if same and not native:
            tally.add_ulp(most_ulps(block.dtypes[0], block.raw, odd))
        # Where nothing differs, the first place of no difference is not one that was set aside.
        at = 0 if odd is None else int(odd.argmin())
        changed = self._search.add(
            tally, sides[:, at:], difference[at:], most, block.first + at, ulps=native
        )
        if same:
            tally.changed += changed


def _fits_float32(dtype: DType) -> bool:
    """Whether it is a float with a sign whose every number is a float32."""
    return dtype.encoding is not None and dtype.bits <= 32 and dtype.signed


def _put(dtype: DType, data: memoryview, row: NDArray[np.float32]) -> None:
    """Put elements into a row of float32, unless they lie there."""
    values = numbers(dtype, data, row)
    assert values is not None  # noqa: S101 (the types are known to be in the tables)
    if values.__array_interface__["data"] != row.__array_interface__["data"]:
        row[:] = values


def _may_be_set_aside(
    dtypes: tuple[DType, DType],
    sides: NDArray[np.float32],
    odd: NDArray[np.bool_],
    tolerance: Tolerance | None,
) -> bool:
    """Whether zeros may stand for pairs of which the difference is not finite."""
    if dtypes[0] != dtypes[1] or (tolerance is not None and tolerance.equal_nan):
        return False
    # finite numbers, whose difference is beyond float32
    return not (odd & np.isfinite(sides[0]) & np.isfinite(sides[1])).any()


def _set_aside(
    tally: Tally,
    block: Block,
    sides: NDArray[np.float32],
    difference: NDArray[np.float32],
    odd: NDArray[np.bool_],
) -> None:
    """Count the pairs that are not finite and put zeros in their places."""
    nan_left, nan_right = np.isnan(sides)
    infinite_left, infinite_right = np.isinf(sides)
    tally.nan_left += int(np.count_nonzero(nan_left > nan_right))
    tally.nan_right += int(np.count_nonzero(nan_left < nan_right))
    tally.infinite_left += int(np.count_nonzero(infinite_left > infinite_right))
    tally.infinite_right += int(np.count_nonzero(infinite_left < infinite_right))
    left, right = (bits_of(*side)[odd] for side in zip(block.dtypes, block.raw))
    unlike = int(np.count_nonzero(left != right))
    tally.unlike += unlike
    tally.changed += unlike
    np.copyto(sides, 0, where=odd)
    np.copyto(difference, 0, where=odd)


def _add_sums(tally: Tally, sides: NDArray[np.float32], difference: NDArray[np.float32]) -> None:
    """Add the sums of differences, left and right."""
    one, other = dots(sides, sides).sum(axis=1, dtype=np.float64).tolist()
    apart = dot(difference, difference)
    left, right = _norm(sides[0], one), _norm(sides[1], other)
    if not (_is_ordinary(one) and _is_ordinary(other)):
        inner = wide_dot(sides[0], sides[1]) if left and right else 0.0
    elif one < 4 * other and other < 4 * one:
        # |a - b|^2 = |a|^2 + |b|^2 - 2 ab: no digits are lost where the norms are alike
        inner = (one + other - apart) / 2
    else:
        inner = dot(sides[0], sides[1])
    tally.add_norms(left, right, _norm(difference, apart), inner)


def _norm(values: NDArray[np.float32], squares: float) -> float:
    """Return the norm, given the sum of squares in float32."""
    if _is_ordinary(squares):
        return sqrt(squares)
    return sqrt(wide_dot(values, values)) if values.any() else 0.0


def _is_ordinary(squares: float) -> bool:
    """Whether no square was beyond float32, and none that counts has vanished."""
    return _LOW < squares < inf


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
