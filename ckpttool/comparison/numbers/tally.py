"""What a comparison of two tensors adds up to, gathered block by block and merged in order."""

from __future__ import annotations

from math import hypot, isfinite, sqrt
from typing import List, NamedTuple, Tuple, Union

Number = Union[int, float, complex]

# Beyond these a product of two norms is no longer a number that means anything.
_SAFE_NORM = (1e-150, 1e150)


class Peak(NamedTuple):
    """The largest difference of some kind: how large, where, and the two values there.

    ``place`` counts elements in row-major order. Of several as large, the first one counts.
    """

    value: float
    place: int
    left: Number
    right: Number


class Tally:
    """How two tensors of the same shape differ, in the elements looked at so far.

    Differences, norms and ULPs are over the pairs of which both numbers are finite; the others
    are counted. Every field but the values at a peak is the same with the sides exchanged, or
    is exchanged itself.

    Attributes:
        elements: how many pairs were looked at.
        changed: pairs that differ; in bits, or in value between different types.
        outside: pairs of finite numbers that differ by more than the tolerance, counted only if
            there is one.
        unlike: pairs that differ of which not both are finite.
        compared: pairs of finite numbers.
        max_abs, max_rel: see :class:`Peak`; ``None`` where nothing was computed.
        max_ulp: numbers of the type that lie between, plus one; ``None`` where that has no sense.
        nan_left, nan_right: pairs with NaN on that side only; infinities likewise.
        norm_left, norm_right, norm_difference: Euclidean norms.
        dot: the inner product.
        widened: whether every pair is equal as numbers.
        rounds_left, rounds_right: whether rounding to that side's type makes them equal.
        equal: runs of equal pairs, (first element, number), which were not computed on.
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

    @property
    def identical(self) -> bool:
        """Whether all bits were equal."""
        return self.elements == sum(count for _, count in self.equal)

    @property
    def rms(self) -> float | None:
        """Root of the mean square difference."""
        if not self.compared or not isfinite(self.norm_difference):
            return None
        return self.norm_difference / sqrt(self.compared)

    @property
    def relative_rms(self) -> float | None:
        """Norm of the difference in parts of the larger norm; 0 for zeros of any sign."""
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
        return max(-1.0, min(1.0, self.dot / (self.norm_left * self.norm_right)))

    @property
    def norm_change(self) -> float | None:
        """Change of the norm in parts of the larger one: -1 to 1, of opposite sign reversed."""
        larger = max(self.norm_left, self.norm_right)
        if not 0 < larger < float("inf"):
            return None
        return (self.norm_right - self.norm_left) / larger

    def add_norms(self, left: float, right: float, difference: float, dot: float) -> None:
        """Take in the norms of some further pairs."""
        self.norm_left = hypot(self.norm_left, left)
        self.norm_right = hypot(self.norm_right, right)
        self.norm_difference = hypot(self.norm_difference, difference)
        self.dot += dot

    def add_equal(self, first: int, count: int) -> None:
        """Note a run of equal pairs."""
        self.elements += count
        self._join(first, count)

    def _join(self, first: int, count: int) -> None:
        if self.equal and sum(self.equal[-1]) == first:
            first, before = self.equal.pop()
            count += before
        self.equal.append((first, count))

    def add_ulp(self, distance: int) -> None:
        """Note a distance in ULPs."""
        if self.max_ulp is None or distance > self.max_ulp:
            self.max_ulp = distance

    def merge(self, later: Tally) -> None:
        """Take in what was gathered of elements further on."""
        for name in _COUNTS:
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


_COUNTS = (
    "elements",
    "changed",
    "outside",
    "unlike",
    "compared",
    "nan_left",
    "nan_right",
    "infinite_left",
    "infinite_right",
)


def larger_peak(first: Peak | None, second: Peak | None) -> Peak | None:
    """Return the larger of two peaks, of two as large the one at the earlier place."""
    if first is None or second is None:
        return first or second
    return max(first, second, key=lambda peak: (peak.value, -peak.place))
