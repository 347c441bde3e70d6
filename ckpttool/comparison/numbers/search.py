"""The largest differences in a block of float32: absolute, relative, and in ULPs.

One reduction finds the largest in float32, or in steps between bits. Its place is searched for,
and the pair computed in float64, only if it may exceed the largest of the blocks before.

The *step* of a pair is the bits of left less the bits of right, modulo ``2 ** 32``, taken as an
int32 without its sign. The bits of a magnitude are its place among the floats, so the step of two
numbers of one sign is their distance in ULPs, and that of two numbers of opposite sign is
``2 ** 31`` less the distance of their magnitudes. What follows from that:

- Where all steps are shorter than ``2 ** 31`` less the furthest place, no signs are opposite, and
  the longest step is the largest distance in ULPs.
- Otherwise: the place is a concave function of the magnitude (each binade has as many numbers as
  the one before and is twice as long), so two numbers with the difference ``d`` are no further
  apart than ``d / 2`` and ``-d / 2`` are. Pairs that differ by less need not be looked at.
- Relative differences ``r`` beyond 1 are those of opposite signs. The smaller magnitude is
  ``r - 1`` of the larger, and neighbours are at least ``2 ** -24`` of the smaller one apart: so
  at most ``2 ** 24 * (2 - r) / (r - 1)`` steps lie between them. From ``r`` of 5/3 on that is
  at most ``2 ** 23``, and ``2 ** 31`` less that is further than any step of one sign.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckpttool.comparison.numbers.tally import Peak, larger_peak
from ckpttool.comparison.numbers.ulps import places_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.numbers.tally import Tally

# A quotient in float32 of a difference in float32 is this close to what it stands for, and closer.
_SLACK = 1 - 2.0**-21
# The step between a number and its negative.
_OPPOSITE = 1 << 31
# The smallest relative difference whose steps are those of opposite signs only; of smaller ones
# there are too many to pick them.
_TELLING = 5 / 3
# The relative difference between a number and its negative: none is larger.
_MOST = 2.0
# No float32 but zero is smaller.
_SMALLEST = 2.0**-149
# Pairs of which it costs less to compute all than to choose among them.
_FEW = 256
# Pairs that are computed at once.
_PART = 1 << 16


class Search:
    """The search; one for a thread, because it has scratch memory.

    Args:
        scratch: 2 x block of float32, free between calls.
        flags: a block of bools, free as well.
    """

    def __init__(self, scratch: NDArray[Any], flags: NDArray[np.bool_]) -> None:
        self._scratch = scratch
        self._flags = flags
        self._steps = np.empty(scratch.shape[1], np.int32)

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
            difference: the absolute differences.
            bound: no magnitude is larger.
            first: index of the block's first element in the tensor.
            ulps: whether the distance in ULPs is wanted; of numbers that were widened it is not.
        """
        length = len(difference)
        flags = self._flags[:length]
        signed = self._steps[:length]
        bits = sides.view(np.int32)
        np.subtract(bits[0], bits[1], out=signed)
        changed = int(np.count_nonzero(np.not_equal(signed, 0, out=flags)))
        np.abs(signed, out=signed)  # of the lowest int32 it is, unsigned, right as well
        steps = signed.view(np.uint32)
        scratch = self._scratch[:, :length]
        largest = difference.max(), int(steps.max())
        block = _Block(tally, sides, difference, steps, *largest, first, ulps, scratch, flags)
        opposite = _OPPOSITE - int(np.float32(bound).view(np.uint32))
        # Of the blocks before: within this one, an equal difference may come earlier.
        known = tally.max_rel.value if tally.max_rel else 0.0
        block.find_absolute()
        if ulps:
            block.find_ulps(opposite)
        block.find_relative(opposite, known)
        return changed


class _Block(NamedTuple):
    """A block of pairs, the tally that it is added to, and memory to search in.

    ``most`` is the largest difference, ``longest`` the longest step.
    """

    tally: Tally
    sides: NDArray[np.float32]
    difference: NDArray[np.float32]
    steps: NDArray[np.uint32]
    most: np.float32
    longest: int
    first: int
    ulps: bool
    scratch: NDArray[np.float32]
    flags: NDArray[np.bool_]

    def find_absolute(self) -> None:
        """Find the largest absolute difference.

        Rounding to float32 keeps the order, so the largest is among those that are the largest
        in float32. There may be very many of those, but most of them are exact, and as large as
        each other: a difference that is no larger than either number is a float32 (Sterbenz).
        """
        known, most = self.tally.max_abs, self.most
        if known is not None and most < np.float32(known.value):
            return
        tied = np.equal(self.difference, most, out=self.flags)
        if np.count_nonzero(tied) > _FEW:
            rounded = np.abs(self.sides[0], out=self.scratch[0]) < 4 * most
            rounded &= tied
            self._look_at(np.flatnonzero(rounded))
            tied ^= rounded
            tied[tied.argmax() + 1 :] = False  # the others of these are as large, and later
        self._look_at(np.flatnonzero(tied))

    def find_ulps(self, opposite: int) -> None:
        """Find the largest distance; numbers whose step is below ``opposite`` are of one sign."""
        if self.longest < opposite:
            self.tally.add_ulp(self.longest)
            return
        if (self.tally.max_ulp or 0) < _OPPOSITE - opposite:
            # something to begin with: the longest step of one sign, the largest difference else
            turned = np.greater_equal(self.steps, np.uint32(opposite), out=self.flags)
            ones = np.multiply(self.steps, ~turned, out=self.scratch[0].view(np.uint32))
            self.tally.add_ulp(int(ones.max()))
            others = np.multiply(self.difference, turned, out=self.scratch[0])
            self._look_at(np.array([others.argmax()]))
        # The closest two numbers as far apart as the largest distance so far: half and -half.
        half = np.uint32((self.tally.max_ulp or 0) // 2).view(np.float32)
        if self.most > 2 * half:
            chosen = np.greater(self.difference, 2 * half, out=self.flags)
            if np.count_nonzero(chosen) > _FEW:
                chosen &= self.steps >= np.uint32(opposite)
            self._look_at(np.flatnonzero(chosen))

    def find_relative(self, opposite: int, known: float) -> None:
        """Find the largest relative difference, where ``known`` is one before this block."""
        if known >= _MOST or (known >= 1 and self.longest < opposite):
            return  # none can be larger; with one sign, none is larger than 1
        if known >= _TELLING:
            least = _OPPOSITE - ceil(2.0**24 * (2 - known) / (known - 1)) - 1
            if self.longest >= least:
                self._look_at(np.flatnonzero(self.steps >= np.uint32(least)))
            return
        magnitudes = np.abs(self.sides, out=self.scratch)
        large = np.maximum(magnitudes[0], magnitudes[1], out=magnitudes[0])
        relative = np.divide(self.difference, large, out=large)  # NaN where both are zero
        most = max(float(np.fmax.reduce(relative)), known) * _SLACK
        chosen = np.greater_equal(relative, np.float32(most), out=self.flags)
        self._look_at(np.flatnonzero(chosen))

    def _look_at(self, places: NDArray[np.intp]) -> None:
        """Compute the pairs at these places, in order, and add the largest of them."""
        for start in range(0, len(places), _PART):
            self._compute(places[start : start + _PART])

    def _compute(self, places: NDArray[np.intp]) -> None:
        tally, pairs = self.tally, self.sides[:, places]
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
                self.first + int(places[index]),
                float(left[index]),
                float(right[index]),
            )
            setattr(tally, name, larger_peak(getattr(tally, name), found))
