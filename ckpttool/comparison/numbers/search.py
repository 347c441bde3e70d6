"""The largest differences in a block of float32: absolute, relative, and in ULPs.

One reduction gives the largest in float32, which is right to a few parts in ``2 ** 24``. If it may
exceed the largest of the blocks before, the pairs that may be it are computed again in float64; the
place is that of their first maximum.

The *step* of a pair is the bits of left less the bits of right, modulo ``2 ** 32``, taken as an
int32 without its sign. The bits of a magnitude are its place among the floats, so the step of two
numbers of one sign is their distance in ULPs, and that of two numbers of opposite sign is
``2 ** 31`` less the distance of their magnitudes. What follows from that spares most blocks of a
tensor all further passes:

- The place is a concave function of the magnitude (each binade has as many numbers as the one
  before and is twice as long). So magnitudes whose difference is at most ``d`` are no further apart
  than the place of ``d``, and two numbers of opposite sign with the difference ``d`` are no further
  apart than ``d / 2`` and ``-d / 2`` are.
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
from ckpttool.comparison.numbers.ulps import distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.numbers.tally import Tally

#: Pairs of which all are computed in float64 at once: more would leave the caches.
RUN = 1 << 15
# If more than one of this many pairs may be the largest, it costs less to compute all of them.
_PICKED = 16
# More than a quotient in float32 of a difference in float32 is off, in parts of itself. (The
# difference of two numbers is no subnormal, or exact; no quotient but zero is below 2 ** -25.)
_OFF = 2.0**-22
# No float32 but zero is smaller.
_SMALLEST = 2.0**-149
# The step between a number and its negative.
_OPPOSITE = 1 << 31
# The relative difference between a number and its negative: none is larger.
_MOST = 2.0
# The smallest relative difference whose steps are those of opposite signs only.
_TELLING = 5 / 3


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
        most: np.float32,
        first: int,
        *,
        ulps: bool = True,
    ) -> int:
        """Add a block's largest differences; return the number of pairs with different bits.

        Args:
            tally: what to add to.
            sides: left and right as rows, finite.
            difference: the absolute differences, finite.
            most: the largest of them.
            first: index of the block's first element in the tensor.
            ulps: whether the distance in ULPs is wanted; of numbers that were widened it is not.
        """
        length = len(difference)
        flags = self._flags[:length]
        bits = sides.view(np.int32)
        signed = np.subtract(bits[0], bits[1], out=self._steps[:length])
        changed = int(np.count_nonzero(np.not_equal(signed, 0, out=flags)))
        steps = np.abs(signed, out=signed).view(np.uint32)  # of the lowest int32 as well
        scratch = self._scratch[:, :length]
        block = _Block(tally, sides, difference, steps, int(steps.max()), first, scratch, flags)
        block.add_largest("max_abs", difference, float(most))
        # no step of one sign is longer; the largest difference may have been rounded down
        reach = int(most.view(np.uint32)) + 1
        known = tally.max_rel.value if tally.max_rel else 0.0
        turned = block.longest >= _OPPOSITE - reach
        # the step may be that long for zeros of the other sign too, or because the reach is far
        if turned and 1 <= known < _TELLING:
            turned = block.is_turned()
        if ulps:
            block.add_ulps(reach, turned)
        # with one sign, none is larger than 1
        if known < (_MOST if turned else 1):
            block.add_relative(known)
        return changed


class _Block(NamedTuple):
    """A block of pairs, the tally that it is added to, and memory to search in.

    ``longest`` is the longest step.
    """

    tally: Tally
    sides: NDArray[np.float32]
    difference: NDArray[np.float32]
    steps: NDArray[np.uint32]
    longest: int
    first: int
    scratch: NDArray[np.float32]
    flags: NDArray[np.bool_]

    def is_turned(self) -> bool:
        """Whether two numbers that are not zero have opposite signs."""
        (left, right), ends = self.sides, self.scratch[0]
        below = np.less(np.minimum(left, right, out=ends), 0, out=self.flags)
        below &= np.maximum(left, right, out=ends) > 0
        return bool(below.any())

    def add_ulps(self, reach: int, turned: bool) -> None:
        """Add the largest distance in ULPs; of one sign, it is at most ``reach``."""
        tally = self.tally
        if self.longest < _OPPOSITE - reach:
            tally.add_ulp(self.longest)
            return
        tally.add_ulp(0)
        known = tally.max_ulp or 0
        if turned and known < _furthest(tally.max_abs.value if tally.max_abs else 0.0):
            # As far apart as the largest distance so far: half and -half at the closest.
            half = np.uint32(known // 2).view(np.float32)
            chosen = np.greater_equal(self.difference, 2 * half, out=self.flags)
            if np.count_nonzero(chosen) > len(chosen) // _PICKED:
                chosen &= self.steps >= np.uint32(_OPPOSITE - reach)
            if chosen.any():
                tally.add_ulp(self._furthest_turned(_picked(chosen)))
        if (tally.max_ulp or 0) < reach:
            # the magnitudes of opposite signs are closer than the numbers, so they do no harm
            bits = np.abs(self.sides, out=self.scratch).view(np.int32)
            apart = np.subtract(bits[0], bits[1], out=bits[0])
            tally.add_ulp(int(np.abs(apart, out=apart).max()))

    def _furthest_turned(self, places: NDArray[np.intp] | None) -> int:
        """Return the largest distance of numbers of opposite sign, at some or all places."""
        bits = self.sides.view(np.uint32)
        if places is not None:
            return int(distances(*bits[:, places]).max())
        # With the highest bit set in one of the two, the sum is 2 ** 31 and the places. For all
        # other pairs 0 stands.
        sums, signs = self.scratch.view(np.uint32)
        np.bitwise_xor(bits[0], bits[1], out=signs)
        signs >>= np.uint32(31)
        np.add(bits[0], bits[1], out=sums)
        sums -= np.uint32(_OPPOSITE)
        sums *= signs
        return int(sums.max())

    def add_relative(self, known: float) -> None:
        """Add the largest relative difference."""
        if known >= _TELLING:
            least = _OPPOSITE - ceil(2.0**24 * (2 - known) / (known - 1)) - 1
            if self.longest < least:
                return
            places = _picked(np.greater_equal(self.steps, np.uint32(least), out=self.flags))
            if places is not None:
                self._add_exactly("max_rel", places)
                return
        magnitudes = np.abs(self.sides, out=self.scratch)
        large = np.maximum(magnitudes[0], magnitudes[1], out=magnitudes[0])
        relative = np.divide(self.difference, large, out=magnitudes[1])  # NaN where both are zero
        self.add_largest("max_rel", relative, max(float(np.fmax.reduce(relative)), 0.0), _OFF)

    def add_largest(
        self, name: str, values: NDArray[np.float32], most: float, off: float = 0
    ) -> None:
        """Add the largest difference of some kind.

        Args:
            name: the field of the tally.
            values: the differences in float32.
            most: the largest of them.
            off: more than they are off, in parts of themselves; 0 if they are rounded once, which
                keeps their order.
        """
        peak = getattr(self.tally, name)
        known = -1.0 if peak is None else peak.value
        low = np.float32(max(most, known) * (1 - off))
        if most < low or most * (1 + _OFF) <= known:
            return
        chosen = np.greater_equal(values, low, out=self.flags)
        if not off:
            self._leave_out_alike(chosen, most, known)
            if not chosen.any():
                return
        # where nothing differs, two zeros, which are no number here, may come first
        places = _picked(chosen) if low else None
        if places is not None:
            self._add_exactly(name, places)
            return
        for start in range(0, len(values), RUN):
            self._add_exactly(name, slice(start, start + RUN))

    def _leave_out_alike(self, chosen: NDArray[np.bool_], most: float, known: float) -> None:
        """Leave out all but the first of the pairs that differ by ``most`` exactly.

        A difference that is no larger than either number is a float32 (Sterbenz). There may be
        very many of those after a step of an optimizer.
        """
        exact = np.abs(self.sides[0], out=self.scratch[0]) >= 4 * most
        exact &= chosen
        if known < most:
            exact[exact.argmax()] = False
        chosen ^= exact

    def _add_exactly(self, name: str, chosen: NDArray[np.intp] | slice) -> None:
        """Add the largest of some pairs."""
        pairs = self.sides[:, chosen]
        wide = pairs.astype(np.float64)
        values = np.subtract(wide[0], wide[1])
        np.abs(values, out=values)
        if name == "max_rel":
            np.abs(wide, out=wide)
            large = np.maximum(wide[0], wide[1], out=wide[0])
            values /= np.maximum(large, _SMALLEST, out=large)  # two zeros do not differ
        at = int(values.argmax())
        place = chosen.start + at if isinstance(chosen, slice) else int(chosen[at])
        found = Peak(float(values[at]), self.first + place, *pairs[:, at].tolist())
        setattr(self.tally, name, larger_peak(getattr(self.tally, name), found))


def _picked(chosen: NDArray[np.bool_]) -> NDArray[np.intp] | None:
    """Return the places of those chosen, or ``None`` for all: if all cost less, or none is."""
    few = 0 < np.count_nonzero(chosen) <= len(chosen) // _PICKED
    return np.flatnonzero(chosen) if few else None


def _furthest(difference: float) -> int:
    """Return how far numbers of opposite sign with at most this difference are apart, or more."""
    half = np.float32(difference / 2)
    return 2 * int(half.view(np.uint32)) + (float(half) != difference / 2)
