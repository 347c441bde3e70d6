"""Counts the pairs of float32 outside of a tolerance, exactly, in float64 only where needed.

float32 gives differences and limits to a few parts in ``2 ** 24``. Pairs clearly on one side are
only counted; those in between are computed again in float64, by the rule of
:class:`ckpttool.comparison.numbers.tolerance.Tolerance`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.numbers.tolerance import Tolerance

# More than the relative error of a difference, a product and a sum in float32.
_SLACK = 2.0**-20
# The absolute error where numbers are so small that float32 has fewer digits.
_TINY = 2.0**-140
# Pairs that are computed at once.
_PART = 1 << 16


class _Bounds(NamedTuple):
    """Differences below ``low`` are allowed, those above ``high`` are not."""

    low: Any
    high: Any


class ToleranceCounter:
    """The count; one for a thread, because it has scratch memory.

    Args:
        scratch: 2 x block of float32, free between calls.
        flags: a block of bools, free as well.
    """

    def __init__(self, scratch: NDArray[Any], flags: NDArray[np.bool_]) -> None:
        self._scratch = scratch
        self._flags = flags

    def count(
        self,
        sides: tuple[NDArray[Any], NDArray[Any]],
        difference: NDArray[Any],
        tolerance: Tolerance,
    ) -> int:
        """Return how many pairs differ by more than is allowed.

        Args:
            sides: left and right, finite float32.
            difference: the absolute differences in float32.
            tolerance: what is allowed.
        """
        bounds = self._bounds(sides, tolerance)
        flags = self._flags[: len(difference)]
        most = int(np.count_nonzero(np.greater_equal(difference, bounds.low, out=flags)))
        if not most:
            return 0
        least = int(np.count_nonzero(np.greater(difference, bounds.high, out=flags)))
        if least == most:
            return least
        flags ^= difference >= bounds.low
        flags &= difference > 0  # what does not differ needs no allowance
        places = np.flatnonzero(flags)
        parts = (places[start : start + _PART] for start in range(0, len(places), _PART))
        return least + sum(_exactly(sides, part, tolerance) for part in parts)

    def _bounds(self, sides: tuple[NDArray[Any], NDArray[Any]], tolerance: Tolerance) -> _Bounds:
        absolute, relative = (_around(value) for value in (tolerance.absolute, tolerance.relative))
        if not tolerance.relative:
            return absolute
        low, high = self._scratch[:, : len(sides[0])]
        large = np.maximum(np.abs(sides[0], out=low), np.abs(sides[1], out=high), out=low)
        for bound, factor, more in zip((high, low), relative[::-1], absolute[::-1]):
            np.multiply(large, factor, out=bound)
            bound += more
        return _Bounds(low, high)


def _around(value: float) -> _Bounds:
    """Return float32 numbers clearly below and clearly above a number of at least 0."""
    return _Bounds(
        np.float32(value * (1 - _SLACK) - _TINY), np.float32(value * (1 + _SLACK) + _TINY)
    )


def _exactly(
    sides: tuple[NDArray[Any], NDArray[Any]], places: NDArray[Any], tolerance: Tolerance
) -> int:
    left, right = (side[places].astype(np.float64) for side in sides)
    large = np.maximum(np.abs(left), np.abs(right))
    return int(np.count_nonzero(tolerance.excludes(np.abs(left - right), large)))
