"""The largest differences in a block of float32: few pairs can have them, and are cheap to find.

What is looked for is the largest absolute difference, the largest relative one and the largest
distance in ULPs. Pairs that may have one are picked by keys, of which a block is computed
quickly; only they are computed in full, in float64. The keys are the absolute difference in
float32, and the *step*: the bits of left less the bits of right, modulo ``2 ** 32``, taken as an
int32 without its sign.

The bits of a magnitude are its place among the floats. So the step of two numbers of one sign is
their distance in ULPs, and that of two numbers of opposite sign is ``2 ** 31`` less the distance
of their magnitudes. Which pairs can exceed what was found already?

- ULPs, where some are further apart than any place: the place is a concave function of the
  magnitude (each binade has as many numbers as the one before and is twice as long), so two
  numbers with the difference ``d`` are no further apart than ``d / 2`` and ``-d / 2`` are:
  the difference must be large.
- ULPs otherwise: pairs whose step is ``2 ** 31`` less the furthest place, or longer, may be of
  opposite sign and are computed. Of the others the step is the distance.
- Relative differences ``r`` beyond 1 are those of opposite signs. The smaller magnitude is
  ``r - 1`` of the larger, and neighbours are at least ``2 ** -24`` of the smaller one apart: so
  at most ``2 ** 24 * (2 - r) / (r - 1)`` steps lie between them. From ``r`` of 5/3 on that is
  at most ``2 ** 23``, and ``2 ** 31`` less that is further than any step of one sign.
- Relative differences otherwise: what float32 says, almost.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpttool.comparison.numbers.keys import Keys
from ckpttool.comparison.numbers.tally import Peak, larger_peak
from ckpttool.comparison.numbers.ulps import places_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.numbers.tally import Tally

# Pairs that are computed to have something to exceed.
_SAMPLE = 1024
# A key in float32 is this close to what it stands for, and closer.
_SLACK = 1 - 2.0**-20
# Of absolute differences, those that are nearly the largest.
_LARGE = 0.75
# The step between a number and its negative.
_OPPOSITE = 1 << 31
# The smallest relative difference whose steps are those of opposite signs only; of smaller ones
# there are too many to pick them.
_TELLING = 5 / 3
# The relative difference between a number and its negative: none is larger.
_MOST = 2.0
# No float32 but zero is smaller.
_SMALLEST = 2.0**-149


class Search:
    """The search; one for a thread, because it has scratch memory.

    Args:
        scratch: 2 x block of float32, free between calls.
    """

    def __init__(self, scratch: NDArray[Any]) -> None:
        self._steps = np.empty(scratch.shape[1], np.int32)
        self._scratch = scratch

    def add(
        self,
        tally: Tally,
        sides: NDArray[np.float32],
        difference: NDArray[np.float32],
        bound: float,
        first: int,
        *,
        ulps: bool = True,
    ) -> int:
        """Add a block's largest differences; return the number of pairs with different bits.

        Args:
            tally: what to add to.
            sides: left and right as rows, finite.
            difference: the absolute differences; overwritten.
            bound: no magnitude is larger.
            first: index of the block's first element in the tensor.
            ulps: whether the distance in ULPs is wanted; of numbers that were widened it is not.
        """
        length = len(difference)
        signed = self._steps[:length]
        bits = sides.view(np.int32)
        np.subtract(bits[0], bits[1], out=signed)
        changed = int(np.count_nonzero(signed))
        np.abs(signed, out=signed)  # of the lowest int32 it is, unsigned, right as well
        largest = _Largest(tally, sides, first, Keys(signed.view(np.uint32)), ulps)
        if tally.max_abs is None or (ulps and tally.max_ulp is None):
            largest.look_at(np.arange(min(_SAMPLE, length)))
        self._find(largest, difference, int(np.float32(bound).view(np.uint32)))
        return changed

    def _find(self, largest: _Largest, difference: NDArray[np.float32], furthest: int) -> None:
        known = largest.known_relative
        apart = Keys(difference)
        largest.find_absolute(apart)
        if largest.ulps:
            largest.find_ulps(apart, furthest)
        if known >= _MOST or (known >= 1 and largest.steps.most < _OPPOSITE - furthest):
            return  # none can be more; of one sign, none more than 1
        if known >= _TELLING:
            largest.find_relative(known)
        else:
            relative = Keys(self._relative(largest.sides, difference))
            largest.pick(relative, relative.most * _SLACK)

    def _relative(
        self, sides: NDArray[np.float32], difference: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return the differences in parts of the larger number; NaN where both are zero."""
        magnitudes = np.abs(sides, out=self._scratch[:, : len(difference)])
        large = np.maximum(magnitudes[0], magnitudes[1], out=magnitudes[0])
        relative: NDArray[np.float32] = np.divide(difference, large, out=difference)
        return relative


class _Largest:
    """The largest differences, for which some pairs of a block are computed in full."""

    def __init__(
        self, tally: Tally, sides: NDArray[np.float32], first: int, steps: Keys, ulps: bool
    ) -> None:
        self._tally = tally
        self.sides = sides
        self._first = first
        self.steps = steps
        self.ulps = ulps

    @property
    def known_relative(self) -> float:
        """The largest relative difference so far."""
        return self._tally.max_rel.value if self._tally.max_rel else 0.0

    def find_absolute(self, difference: Keys) -> None:
        """Find the largest absolute difference."""
        known = self._tally.max_abs
        if known is None or difference.most >= known.value * _SLACK:
            self.pick(difference, difference.most * _SLACK)

    def find_ulps(self, difference: Keys, furthest: int) -> None:
        """Find the largest distance; ``furthest`` is a place that none is beyond."""
        opposite = _OPPOSITE - furthest
        if (self._tally.max_ulp or 0) < furthest:
            self.pick(self.steps, opposite)
            self._tally.add_ulp(self.steps.most_below(opposite))
            return
        # the largest first: after them the others are fewer, or none
        least = max(_LARGE * difference.most, self._apart())
        self.pick(difference, least, opposite)
        if self._apart() < least:
            self.pick(difference, self._apart(), opposite)

    def find_relative(self, known: float) -> None:
        """Find the largest relative difference, where one of more than 5/3 is known."""
        between = ceil(2.0**24 * (2 - known) / (known - 1)) + 1
        self.pick(self.steps, _OPPOSITE - between)

    def _apart(self) -> float:
        """Return how large the difference of two numbers must be to exceed what is known."""
        half = np.uint32((self._tally.max_ulp or 0) // 2).view(np.float32)
        return 2 * float(half) * _SLACK

    def pick(self, keys: Keys, least: float, step: int = 0) -> None:
        """Compute the pairs whose key is not less than ``least``, and their step than ``step``."""
        for places in keys.places(least):
            self.look_at(self.steps.at_least(step, places) if step else places)

    def look_at(self, places: NDArray[np.intp]) -> None:
        """Compute the pairs at these places, in order."""
        if not len(places):
            return
        tally, pairs = self._tally, self.sides[:, places]
        if self.ulps:
            left, right = places_of(pairs.view(np.uint32)).astype(np.int64)
            tally.add_ulp(int(np.abs(left - right).max()))
        left, right = pairs.astype(np.float64)
        difference = np.abs(left - right)
        large = np.maximum(np.abs(left), np.abs(right))
        # two zeros do not differ, in parts of whatever
        relative = difference / np.maximum(large, _SMALLEST)
        for name, values in (("max_abs", difference), ("max_rel", relative)):
            index = int(values.argmax())
            found = Peak(
                float(values[index]),
                self._first + int(places[index]),
                float(left[index]),
                float(right[index]),
            )
            setattr(tally, name, larger_peak(getattr(tally, name), found))
