"""The pairs of float32 that may be furthest apart in ULPs: few, and cheap to find.

Let ``best`` be a distance that is known already. Which pairs can exceed it?

- Where no magnitude of the block lies further than ``best`` from zero, only pairs of opposite
  sign: their places add up. The place is a concave function of the magnitude (each binade has as
  many numbers as the one before and is twice as long), so two magnitudes whose sum is the
  difference ``d`` have places of at most twice that of ``d / 2``: ``d`` must be large.
- Otherwise, for one sign: neighbours are at least ``2 ** -24`` of the smaller magnitude apart,
  and the smaller is ``1 - r`` of the larger, where ``r`` is the relative difference. So the
  distance is at most ``2 ** 24 * r / (1 - r)``: ``r`` must be large. For opposite signs it is,
  1 or more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ckpttool.comparison.places import distances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.comparison.tally import Tally

# Pairs that are computed to have a distance to start with.
_SAMPLE = 1024
# Of one pair in so many or more, computing the whole block is cheaper than picking them.
_FEW = 16
# The bounds are in real numbers, the keys rounded to float32: 2 ** -24 a step, of which two.
_SLACK = 1 - 2.0**-20


class FarPairs:
    """The search in one block; afterwards ``done`` says whether the tally has its distance.

    Args:
        tally: what to add to.
        left: finite float32.
        right: as many.
        chosen: scratch for as many booleans.
        peak: the largest magnitude.
    """

    def __init__(
        self,
        tally: Tally,
        left: NDArray[Any],
        right: NDArray[Any],
        chosen: NDArray[Any],
        peak: np.float32,
    ) -> None:
        self.done = False
        self._tally = tally
        self._sides = left, right
        self._chosen = chosen[: len(left)]
        if tally.max_ulp is None:
            self._add(slice(_SAMPLE))
        self._best = tally.max_ulp or 0
        self._opposite_only = self._best >= int(peak.view(np.uint32))

    def by_difference(self, difference: NDArray[Any]) -> None:
        """Search by absolute differences, if pairs of one sign are out of the question."""
        if self._opposite_only:
            half = np.uint32(self._best // 2).view(np.float32)
            self._pick(difference, 2 * float(half))

    def by_relative_difference(self, relative: NDArray[Any]) -> None:
        """Search by relative differences; NaN stands for two zeros."""
        if not self._opposite_only:
            self._pick(relative, self._best / (2.0**24 + self._best))

    def _pick(self, keys: NDArray[Any], threshold: float) -> None:
        np.greater_equal(keys, np.float32(threshold * _SLACK), out=self._chosen)
        if np.count_nonzero(self._chosen) * _FEW <= len(keys):
            self._add(np.flatnonzero(self._chosen))
            self.done = True

    def _add(self, places: Any) -> None:
        left, right = (side[places].view(np.uint32) for side in self._sides)
        if len(left):
            self._tally.add_ulp(int(distances(left, right).max()))
