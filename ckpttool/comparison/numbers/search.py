"""The largest differences in a block of float32: absolute, relative, and in ULPs.

A block is cut into runs. One reduction gives the largest difference of each run in float32, which
is right to a few parts in ``2 ** 24``. Runs that may hold more than is known are computed again, as
a whole, in float64; the place is that of their first maximum. So what is equal in all of a tensor,
as one step of an optimizer makes it, costs a few passes more, and never a look at each pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ckpttool.comparison.numbers.tally import Peak, larger_peak

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.numbers.tally import Tally

#: Pairs in a run: fewer would be mostly calls, and more leave the caches in float64.
RUN = 1 << 15
# More than a quotient in float32 of a difference in float32 is off, in parts of itself. (The
# difference of two numbers is no subnormal, or exact; no quotient but zero is below 2 ** -25.)
_OFF = 2.0**-22
# No float32 but zero is smaller.
_SMALLEST = np.float32(2.0**-149)


class Search:
    """The search; one for a thread, because it has scratch memory.

    Args:
        scratch: 2 x block of float32, free between calls.
    """

    def __init__(self, scratch: NDArray[Any]) -> None:
        self._scratch = scratch
        self._steps = np.empty(scratch.shape[1], np.int32)
        self._exact = np.empty(RUN, np.float64)

    def add(
        self,
        tally: Tally,
        sides: NDArray[np.float32],
        difference: NDArray[np.float32],
        first: int,
        *,
        ulps: bool = True,
    ) -> None:
        """Add a block's largest differences.

        Args:
            tally: what to add to.
            sides: left and right as rows, finite.
            difference: the absolute differences, finite.
            first: index of the block's first element in the tensor.
            ulps: whether the distance in ULPs is wanted; of numbers that were widened it is not.
        """
        length = len(difference)
        starts = np.arange(0, length, RUN)
        magnitudes = np.abs(sides, out=self._scratch[:, :length])
        if ulps:
            self._add_steps(tally, magnitudes)
        large = np.maximum(magnitudes[0], magnitudes[1], out=magnitudes[0])
        absolute = np.maximum.reduceat(difference, starts)
        # NaN where both are zero
        relative = np.fmax.reduceat(np.divide(difference, large, out=magnitudes[1]), starts)
        if ulps:
            _add_turned(tally, sides, absolute, relative)
        self._add_peaks(tally, sides, large, (absolute, np.fmax(relative, 0)), first)

    def _add_steps(self, tally: Tally, magnitudes: NDArray[np.float32]) -> None:
        """Add the largest distance in ULPs of magnitudes, which are numbers of one sign.

        Two numbers of opposite sign are further apart than their magnitudes are, so this counts
        nothing that is too far.
        """
        places = magnitudes.view(np.int32)
        steps = np.subtract(places[0], places[1], out=self._steps[: places.shape[1]])
        tally.add_ulp(int(np.abs(steps, out=steps).max()))

    def _add_peaks(
        self,
        tally: Tally,
        sides: NDArray[np.float32],
        large: NDArray[np.float32],
        largest: tuple[NDArray[np.float32], NDArray[np.float32]],
        first: int,
    ) -> None:
        bounds = [(one.astype(np.float64) * (1 + _OFF)).tolist() for one in largest]
        least = [float(one.max()) * (1 - _OFF) for one in largest]
        for number, (absolute, relative) in enumerate(zip(*bounds)):
            by_size = absolute >= least[0] and _exceeds(absolute, tally.max_abs)
            in_parts = relative >= least[1] and _exceeds(relative, tally.max_rel)
            if not (by_size or in_parts):
                continue
            part = slice(number * RUN, (number + 1) * RUN)
            run = sides[:, part]
            values = self._exact[: run.shape[1]]
            np.subtract(run[0], run[1], out=values, dtype=np.float64)
            np.abs(values, out=values)
            if by_size:
                tally.max_abs = larger_peak(tally.max_abs, _peak(values, run, first + part.start))
            if in_parts:
                # two zeros do not differ, in parts of whatever
                values /= np.maximum(large[part], _SMALLEST)
                tally.max_rel = larger_peak(tally.max_rel, _peak(values, run, first + part.start))


def _add_turned(
    tally: Tally,
    sides: NDArray[np.float32],
    absolute: NDArray[np.float32],
    relative: NDArray[np.float32],
) -> None:
    """Add the largest distance in ULPs of two numbers of opposite sign: the sum of their places.

    Args:
        tally: what to add to.
        sides: left and right.
        absolute: the largest difference of each run.
        relative: the same in parts of the larger magnitude, which is 1 or more for opposite signs.
    """
    # The place is a concave function of the magnitude (each binade has as many numbers as the one
    # before and is twice as long): two numbers with the difference d are no further apart than
    # d / 2 and -d / 2 are.
    halves = (absolute.astype(np.float64) * ((1 + _OFF) / 2)).astype(np.float32)
    furthest = 2 * (halves.view(np.int32).astype(np.int64) + 1)
    for number in np.flatnonzero((relative >= 1) & (furthest > (tally.max_ulp or 0))).tolist():
        if furthest[number] > (tally.max_ulp or 0):
            run = sides[:, number * RUN : (number + 1) * RUN].view(np.uint32)
            # With the highest bit set in one of the two, the sum is 2 ** 31 and the places. For
            # all other pairs 0 stands.
            sums = run[0] + run[1] - np.uint32(1 << 31)
            sums *= (run[0] ^ run[1]) >> np.uint32(31)
            tally.add_ulp(int(sums.max()))


def _exceeds(bound: float, known: Peak | None) -> bool:
    return known is None or bound > known.value


def _peak(values: NDArray[np.float64], sides: NDArray[np.float32], first: int) -> Peak:
    at = int(values.argmax())
    return Peak(float(values[at]), first + at, float(sides[0, at]), float(sides[1, at]))
