"""The quick way for blocks of ordinary float32 numbers: few passes, all in the caches.

Where a block is not ordinary (something in it is not finite, or squares would overflow or
vanish) it says so and changes nothing; :mod:`ckpttool.comparison.general` takes it then.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpttool.comparison.products import dot, dots
from ckpttool.comparison.search import Search

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.tally import Tally

#: Pairs in a block. Each of two inputs and two scratches is 2 MiB: smaller blocks would suit an
#: L2 cache, but then threads spend as long handing the interpreter's lock around as computing.
BLOCK = 1 << 19

# Sums of squares below this may have lost numbers whose square is no float32.
_LOW = 1e-25
# What sums of float32 squares may be too small by, and more.
_ROUNDED = 1.001


class Float32Blocks:
    """Compares blocks of float32; one for a thread, because it has scratch memory."""

    def __init__(self) -> None:
        self._difference = np.empty(BLOCK, np.float32)
        self._search = Search(BLOCK)

    def add(self, tally: Tally, left: NDArray[Any], right: NDArray[Any], first: int) -> bool:
        """Take a block of pairs, not all of them equal, into ``tally``.

        Differences are computed in float32, which says where the largest may be; those are
        computed again in float64. Sums are of float32 products, added up in float64.

        Args:
            tally: what to add to.
            left: float32, at most :data:`BLOCK`.
            right: as many.
            first: index of the block's first element in the tensor.

        Returns:
            Whether it was taken. Numbers that are not finite, huge or tiny are not.
        """
        difference = self._difference[: len(left)]
        np.subtract(left, right, out=difference)
        np.abs(difference, out=difference)
        rows = [dots(side, side) for side in (difference, left, right)]
        apart, one, other = (float(row.sum(dtype=np.float64)) for row in rows)
        # NaN and infinity stay what they are in sums of squares
        if not (isfinite(apart + one + other) and min(apart, one, other) > _LOW):
            return False
        if one < 4 * other and other < 4 * one:
            # |a - b|^2 = |a|^2 + |b|^2 - 2 ab: no digits are lost where the norms are alike
            inner = (one + other - apart) / 2
        else:
            inner = dot(left, right)
        tally.elements += len(left)
        tally.compared += len(left)
        tally.add_norms(sqrt(one), sqrt(other), sqrt(apart), inner)
        # no number is larger than the norm of its row, but for rounding
        bound = sqrt(max(float(row.max()) for row in rows[1:])) * _ROUNDED
        self._search.add(tally, (left, right), difference, bound, first)
        return True
