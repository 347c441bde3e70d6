"""The quick way for blocks of ordinary float32 numbers: few passes, all in the caches.

Where a block is not ordinary (something in it is not finite, or squares would overflow or
vanish) it says so and changes nothing; :mod:`ckpttool.comparison.general` takes it then.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpttool.comparison.far import FarPairs
from ckpttool.comparison.products import dot
from ckpttool.comparison.tally import Peak, larger_peak

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.tally import Tally

#: Pairs in a block. Each of two inputs and three scratches is 2 MiB: smaller blocks would suit an
#: L2 cache, but then threads spend as long handing the interpreter's lock around as computing.
BLOCK = 1 << 19

# Between these, squares of float32 neither overflow in a row nor vanish.
_LOW, _HIGH = 1e-15, 1e15


class Float32Blocks:
    """Compares blocks of float32; one for a thread, because it has scratch memory."""

    def __init__(self) -> None:
        self._scratch = np.empty((3, BLOCK), np.float32)
        self._chosen = np.empty(BLOCK, np.bool_)

    def add(self, tally: Tally, left: NDArray[Any], right: NDArray[Any], first: int) -> bool:
        """Take a block into ``tally``, except for the number of changed pairs.

        Differences are computed in float32, which says where the largest is; that one is
        computed again exactly.

        Args:
            tally: what to add to.
            left: float32, at most :data:`BLOCK`.
            right: as many; not equal throughout.
            first: index of the block's first element in the tensor.

        Returns:
            Whether it was taken. Numbers that are not finite, huge or tiny are not.
        """
        difference, large, small = self._scratch[:, : len(left)]
        np.subtract(left, right, out=difference)
        np.abs(difference, out=difference)
        most = difference.max()
        np.abs(left, out=large)
        np.abs(right, out=small)
        np.maximum(large, small, out=large)
        peak = large.max()
        if not (most > _LOW and peak < _HIGH):  # false for NaN as well
            return False
        self._add_norms(tally, left, right, difference)
        tally.compared += len(left)

        if tally.max_abs is None or most > tally.max_abs.value:
            tally.max_abs = _peak(tally.max_abs, left, right, int(difference.argmax()), first)
        search = FarPairs(tally, left, right, self._chosen, peak)
        search.by_difference(difference)
        relative = np.divide(difference, large, out=difference)
        search.by_relative_difference(relative)
        most = np.fmax.reduce(relative)  # 0 / 0 is NaN, and no difference
        if tally.max_rel is None or most > tally.max_rel.value:
            index = int(np.flatnonzero(relative == most)[0])
            tally.max_rel = _peak(tally.max_rel, left, right, index, first, relative=True)
        if not search.done:
            tally.add_ulp(_most_ulps(left, right, large, small, relative))
        return True

    def _add_norms(
        self, tally: Tally, left: NDArray[Any], right: NDArray[Any], difference: NDArray[Any]
    ) -> None:
        apart, one, other = (dot(side, side) for side in (difference, left, right))
        if one < 4 * other and other < 4 * one:
            # |a - b|^2 = |a|^2 + |b|^2 - 2 ab: no digits are lost where the norms are alike
            inner = (one + other - apart) / 2
        else:
            inner = dot(left, right)
        tally.add_norms(sqrt(one), sqrt(other), sqrt(apart), inner)


def _peak(
    best: Peak | None,
    left: NDArray[Any],
    right: NDArray[Any],
    index: int,
    first: int,
    *,
    relative: bool = False,
) -> Peak | None:
    one, other = float(left[index]), float(right[index])
    value = abs(one - other)
    if relative:
        value /= max(abs(one), abs(other))
    return larger_peak(best, Peak(value, first + index, one, other))


def _most_ulps(
    left: NDArray[Any],
    right: NDArray[Any],
    large: NDArray[Any],
    small: NDArray[Any],
    spare: NDArray[Any],
) -> int:
    """Return the largest distance.

    ``large`` holds the larger magnitudes and ``small`` those of ``right``; ``small`` and ``spare``
    are overwritten.

    The bits of a magnitude are its place among the floats. With one sign the places are
    subtracted, with two they are added: ``small`` is negated by the mask of the sign.
    """
    np.abs(left, out=spare)
    np.minimum(spare, small, out=small)
    sign, places = spare.view(np.int32), small.view(np.int32)
    np.bitwise_xor(left.view(np.int32), right.view(np.int32), out=sign)
    np.right_shift(sign, 31, out=sign)
    np.bitwise_xor(places, sign, out=places)
    np.subtract(places, sign, out=places)
    # up to 2 x 0x7f800000: more than an int32 holds, not more than a uint32
    distance = places.view(np.uint32)
    np.subtract(large.view(np.uint32), distance, out=distance)
    return int(distance.max())
