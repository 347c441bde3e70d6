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

from ckpttool.comparison.places import distances
from ckpttool.comparison.tally import Peak, larger_peak

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.tally import Tally

# Pairs that are computed to have something to exceed.
_SAMPLE = 1024
# One in so many or fewer are few.
_FEW = 128
# Pairs that are computed at once.
_PART = 1 << 16
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


class Search:
    """The search; one for a thread, because it has scratch memory.

    Args:
        scratch: 2 x block of float32, free between calls.
        flags: a block of bools, free as well.
    """

    def __init__(self, scratch: NDArray[Any], flags: NDArray[np.bool_]) -> None:
        self._steps = np.empty(len(flags), np.int32)
        self._chosen = flags
        self._scratch = scratch

    def add(
        self,
        tally: Tally,
        sides: tuple[NDArray[Any], NDArray[Any]],
        difference: NDArray[Any],
        bound: float,
        first: int,
        *,
        ulps: bool = True,
    ) -> int:
        """Add a block's largest differences; return the number of pairs with different bits.

        Args:
            tally: what to add to.
            sides: left and right, finite float32.
            difference: the absolute differences; overwritten.
            bound: no magnitude is larger.
            first: index of the block's first element in the tensor.
            ulps: whether the distance in ULPs is wanted; of numbers that were widened it is not.
        """
        length = len(difference)
        signed = self._steps[:length]
        np.subtract(sides[0].view(np.int32), sides[1].view(np.int32), out=signed)
        changed = int(np.count_nonzero(signed))
        np.abs(signed, out=signed)  # of the lowest int32 it is, unsigned, right as well
        block = _Block(tally, sides, self._chosen[:length], first, ulps)
        if tally.max_abs is None or (ulps and tally.max_ulp is None):
            block.look_at(np.arange(min(_SAMPLE, length)))
        self._find(
            block, signed.view(np.uint32), difference, int(np.float32(bound).view(np.uint32))
        )
        return changed

    def _find(
        self, block: _Block, steps: NDArray[Any], difference: NDArray[Any], furthest: int
    ) -> None:
        longest, most = int(steps.max()), float(difference.max())
        known = block.known_relative
        block.find_absolute(difference, most)
        if block.ulps:
            block.find_ulps(steps, longest, difference, most, furthest)
        if known >= _MOST or (known >= 1 and longest < _OPPOSITE - furthest):
            return  # none can be more; of one sign, none more than 1
        if known >= _TELLING:
            block.find_relative(steps, longest, known)
        else:
            self._find_relative(block, difference)

    def _find_relative(self, block: _Block, difference: NDArray[Any]) -> None:
        sides = block.sides
        large, small = self._scratch[:, : len(difference)]
        np.maximum(np.abs(sides[0], out=large), np.abs(sides[1], out=small), out=large)
        relative = np.divide(difference, large, out=difference)
        most = float(np.fmax.reduce(relative))  # 0 / 0 is NaN, and no difference
        block.pick(relative, most, most * _SLACK)


class _Block:
    """The pairs of a block, of which some are computed in full."""

    def __init__(
        self,
        tally: Tally,
        sides: tuple[NDArray[Any], NDArray[Any]],
        chosen: NDArray[Any],
        first: int,
        ulps: bool,
    ) -> None:
        self._tally = tally
        self.sides = sides
        self._chosen = chosen
        self._first = first
        self.ulps = ulps

    @property
    def known_relative(self) -> float:
        """The largest relative difference so far."""
        return self._tally.max_rel.value if self._tally.max_rel else 0.0

    def find_absolute(self, difference: NDArray[Any], most: float) -> None:
        """Find the largest absolute difference."""
        known = self._tally.max_abs
        if known is None or most >= known.value * _SLACK:
            self.pick(difference, most, most * _SLACK)

    def find_ulps(
        self,
        steps: NDArray[Any],
        longest: int,
        difference: NDArray[Any],
        most: float,
        furthest: int,
    ) -> None:
        """Find the largest distance; ``furthest`` is a place that none is beyond."""
        known = self._tally.max_ulp or 0
        if known >= furthest:
            # the largest first: after them the others are fewer, or none
            least = max(_LARGE * most, self._apart())
            self.pick(difference, most, least)
            if self._apart() < least:
                self.pick(difference, most, self._apart())
            return
        if longest < _OPPOSITE - furthest:
            self._tally.add_ulp(longest)
            return
        self.pick(steps, longest, _OPPOSITE - furthest)
        rest = steps[~self._chosen]
        if len(rest):
            self._tally.add_ulp(int(rest.max()))

    def find_relative(self, steps: NDArray[Any], longest: int, known: float) -> None:
        """Find the largest relative difference, where one of more than 5/3 is known."""
        between = ceil(2.0**24 * (2 - known) / (known - 1)) + 1
        self.pick(steps, longest, _OPPOSITE - between)

    def _apart(self) -> float:
        """Return how large the difference of two numbers must be to exceed what is known."""
        half = np.uint32((self._tally.max_ulp or 0) // 2).view(np.float32)
        return 2 * float(half) * _SLACK

    def pick(self, keys: NDArray[Any], most: float, least: float) -> None:
        """Compute the pairs whose key is not less than ``least``; ``most`` is the largest one."""
        if most >= least:
            np.greater_equal(keys, keys.dtype.type(least), out=self._chosen)
            self.look_at(_places(self._chosen))

    def look_at(self, places: NDArray[Any]) -> None:
        """Compute the pairs at these places, in order."""
        for start in range(0, len(places), _PART):
            self._compute(places[start : start + _PART])

    def _compute(self, places: NDArray[Any]) -> None:
        left, right = (side[places] for side in self.sides)
        tally = self._tally
        if self.ulps:
            tally.add_ulp(int(distances(left.view(np.uint32), right.view(np.uint32)).max()))
        left, right = left.astype(np.float64), right.astype(np.float64)
        difference = np.abs(left - right)
        large = np.maximum(np.abs(left), np.abs(right))
        relative = np.divide(difference, large, out=np.zeros_like(large), where=large > 0)
        for name, values in (("max_abs", difference), ("max_rel", relative)):
            index = int(values.argmax())
            found = Peak(
                float(values[index]),
                self._first + int(places[index]),
                float(left[index]),
                float(right[index]),
            )
            setattr(tally, name, larger_peak(getattr(tally, name), found))


def _places(chosen: NDArray[Any]) -> NDArray[Any]:
    """Return the places of the chosen ones: of few, four times as fast as ``flatnonzero``."""
    if np.count_nonzero(chosen) * _FEW > len(chosen):
        return np.flatnonzero(chosen)
    whole = len(chosen) // 8 * 8
    words = np.flatnonzero(chosen[:whole].view(np.uint64) != 0)
    rows, columns = np.nonzero(chosen[:whole].reshape(-1, 8)[words])
    return np.concatenate((8 * words[rows] + columns, whole + np.flatnonzero(chosen[whole:])))
