"""Elements of several tensors, one after the other in one array: a result for each in one call.

numpy takes about a microsecond for a call, whatever its arguments: 100,000 tensors of four
elements are compared by a few calls for thousands of them, and not by sixty calls for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

import numpy as np

from ckpttool.comparison.numbers.products import dot

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Runs:
    """Where each tensor begins in the array, and how many elements it has: at least one.

    A result does not depend on what stands before or after its run.

    Args:
        lengths: the number of elements of each.
        alone: whether this is a block of one large tensor, for which numpy has faster ways. Their
            sums are rounded otherwise, so a small tensor never takes them, with others or without.
    """

    def __init__(self, lengths: Sequence[int], *, alone: bool = False) -> None:
        self._alone = alone
        self.lengths: NDArray[np.intp] = np.array(lengths, np.intp)
        self.starts: NDArray[np.intp] = np.cumsum(self.lengths) - self.lengths

    def halves(self) -> Runs:
        """Return the runs of twice as many numbers: the parts of complex ones."""
        return Runs((2 * self.lengths).tolist(), alone=self._alone)

    def counts(self, flags: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return how many flags are set in each run."""
        if self._alone:
            return np.array([np.count_nonzero(flags)])
        found: NDArray[np.intp] = np.add.reduceat(flags, self.starts, dtype=np.intp)
        return found

    def inner(self, left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
        """Return the inner product of each run."""
        if self._alone:
            return np.array([dot(left, right)])
        found: NDArray[np.float64] = np.add.reduceat(left * right, self.starts)
        return found

    def largest(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the maximum of each run."""
        found: NDArray[Any] = np.maximum.reduceat(values, self.starts)
        return found

    def all_of(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return whether all flags of each run are set."""
        found: NDArray[np.bool_] = np.logical_and.reduceat(flags, self.starts)
        return found

    def places(self, values: NDArray[Any], counted: NDArray[np.bool_] | None) -> NDArray[np.intp]:
        """Return the index of the first of the largest values of each run.

        Args:
            values: at least 0, and 0 where they do not count.
            counted: those that count; ``None`` for all. A run without any gets some index.
        """
        if self._alone:
            at = int(values.argmax())
            if counted is not None and not counted[at]:
                at = int(counted.argmax())
            return np.array([at])
        flags = values == self.spread(self.largest(values))
        if counted is not None:
            flags &= counted
        places = np.append(np.flatnonzero(flags), 0)
        found: NDArray[np.intp] = places[np.searchsorted(places[:-1], self.starts)]
        return found

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the value of each run once for each of its elements."""
        return values.repeat(self.lengths)

    def norms(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Euclidean norm of each run of finite numbers, however large or small."""
        squares = self.inner(values, values)
        found: NDArray[np.float64] = np.sqrt(squares)
        lost = ~((squares > _LOW) & (squares < _HIGH))
        if lost.any():
            largest = self.largest(np.abs(values))
            lost &= largest > 0
            if lost.any():
                scale = np.where(lost, largest, 1.0)
                scaled = values / self.spread(scale)
                found[lost] = (scale * np.sqrt(self.inner(scaled, scaled)))[lost]
        return found


# Between these a sum of squares in float64 has lost nothing to overflow and nothing that counts
# to numbers whose squares vanish.
_LOW, _HIGH = 1e-280, 1e300
