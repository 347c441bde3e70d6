"""The sums of a comparison of two tensors, gathered block by block and merged in order."""

from __future__ import annotations

from math import hypot, isfinite, sqrt
from typing import TYPE_CHECKING, List, NamedTuple, Tuple, Union

if TYPE_CHECKING:
    from ckpttool.comparison.numbers.measuring import OfPair
    from ckpttool.tensors.measures import Measured

Number = Union[int, float, complex]

# Outside of these the product of two norms, by which the cosine divides, overflows or vanishes.
_SAFE_NORM = (1e-150, 1e150)


class Peak(NamedTuple):
    """The largest difference of some kind: how large, where, and the two values there.

    ``place`` counts elements in row-major order. Of several equal ones, the first counts.
    """

    value: float
    place: int
    left: Number
    right: Number


class Tally:
    """How two tensors of the same shape differ, in the elements compared so far.

    Differences, norms and ULPs are over the pairs of two finite numbers; the others are counted.
    Exchanging the sides exchanges left and right fields and changes no others.

    Attributes:
        elements: how many pairs were compared.
        changed: pairs that differ; in bits, or in value between different types.
        outside: pairs of finite numbers that differ by more than the tolerance, if there is one.
        unlike: differing pairs with a number that is not finite.
        compared: pairs of finite numbers.
        max_abs, max_rel: see :class:`Peak`; ``None`` where nothing was computed.
        max_ulp: largest distance in numbers of the type; ``None`` where it is not defined.
        nan_left, nan_right: pairs with NaN on that side only; infinities likewise.
        norm_left, norm_right, norm_difference: Euclidean norms.
        dot: the inner product.
        widened: whether every pair is equal as numbers.
        rounds_left, rounds_right: whether rounding to that side's type makes them equal.
        equal: runs of equal pairs, (first element, number), that are missing in the norms.
        measures: what measures both sides, part by part; ``None`` if that was not asked.
        whole: what was measured of both sides at once, of a small pair.
    """

    def __init__(self) -> None:
        self.elements = self.changed = self.outside = self.unlike = self.compared = 0
        self.max_abs: Peak | None = None
        self.max_rel: Peak | None = None
        self.max_ulp: int | None = None
        self.nan_left = self.nan_right = self.infinite_left = self.infinite_right = 0
        self.norm_left = self.norm_right = self.norm_difference = self.dot = 0.0
        self.widened = self.rounds_left = self.rounds_right = True
        self.equal: List[Tuple[int, int]] = []
        self.measures: OfPair | None = None
        self.whole: Tuple[Measured, Measured] | None = None

    @property
    def identical(self) -> bool:
        """Whether all bits were equal."""
        if not self.equal:
            return not self.elements
        return self.equal[0] == (0, self.elements)  # adjoining runs are joined

    @property
    def measured(self) -> Tuple[Measured, Measured] | None:
        """What was measured of both sides; ``None`` if nothing was."""
        return self.whole if self.measures is None else self.measures.sides

    @property
    def rms(self) -> float | None:
        """Root of the mean square difference."""
        if not self.compared or not isfinite(self.norm_difference):
            return None
        return self.norm_difference / sqrt(self.compared)

    @property
    def relative_rms(self) -> float | None:
        """Norm of the difference in parts of the larger norm; 0 for zeros of any sign."""
        # The larger of the two, not the left one, so that the sides can be exchanged.
        larger = max(self.norm_left, self.norm_right)
        if self.rms is None or not isfinite(larger):
            return None
        return self.norm_difference / larger if larger else 0.0

    @property
    def cosine(self) -> float | None:
        """Cosine of the angle between the two; ``None`` if one is zero or beyond float64."""
        low, high = _SAFE_NORM
        if not (low < self.norm_left < high and low < self.norm_right < high):
            return None
        # Rounding may put parallel vectors just above 1.
        return max(-1.0, min(1.0, self.dot / (self.norm_left * self.norm_right)))

    @property
    def norm_change(self) -> float | None:
        """Change of the norm in parts of the larger one: -1 to 1, negative if it shrank."""
        larger = max(self.norm_left, self.norm_right)
        if not 0 < larger < float("inf"):
            return None
        return (self.norm_right - self.norm_left) / larger

    def add_norms(self, left: float, right: float, difference: float, dot: float) -> None:
        """Add the norms and the inner product of further pairs."""
        # hypot adds the squares without forming them, which could overflow.
        self.norm_left = hypot(self.norm_left, left)
        self.norm_right = hypot(self.norm_right, right)
        self.norm_difference = hypot(self.norm_difference, difference)
        self.dot += dot

    def add_equal(self, first: int, count: int) -> None:
        """Note a run of equal pairs."""
        self.elements += count
        self._join(first, count)

    def _join(self, first: int, count: int) -> None:
        # One run where blocks adjoin: an equal tensor of 10 GB would leave thousands.
        if self.equal and sum(self.equal[-1]) == first:
            first, before = self.equal.pop()
            count += before
        self.equal.append((first, count))

    def add_ulp(self, distance: int) -> None:
        """Note a distance in ULPs."""
        if self.max_ulp is None or distance > self.max_ulp:
            self.max_ulp = distance

    def merge(self, later: Tally) -> None:
        """Add the tally of elements that follow those of this one."""
        for name in (*_COUNTS, *_COUNTS_OF_SIDES):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.max_abs = larger_peak(self.max_abs, later.max_abs)
        self.max_rel = larger_peak(self.max_rel, later.max_rel)
        if later.max_ulp is not None:
            self.add_ulp(later.max_ulp)
        self.add_norms(later.norm_left, later.norm_right, later.norm_difference, later.dot)
        for name in ("widened", "rounds_left", "rounds_right"):
            setattr(self, name, getattr(self, name) and getattr(later, name))
        for run in later.equal:
            self._join(*run)
        if self.measures is not None and later.measures is not None:
            self.measures.merge(later.measures)


_COUNTS = ("elements", "changed", "outside", "unlike", "compared")
_COUNTS_OF_SIDES = ("nan_left", "nan_right", "infinite_left", "infinite_right")


def larger_peak(first: Peak | None, second: Peak | None) -> Peak | None:
    """Return the larger of two peaks, or the earlier of two equal ones."""
    if first is None or second is None:
        return first or second
    return max(first, second, key=lambda peak: (peak.value, -peak.place))
