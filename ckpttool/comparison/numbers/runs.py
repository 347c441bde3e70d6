"""Elements of several tensors, one after the other in one array: a result for each in one call.

numpy takes about a microsecond for a call, whatever its arguments: 100,000 tensors of four
elements are compared by a few calls for thousands of them, and not by sixty calls for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Runs:
    """Where each tensor begins in the array, and how many elements it has: at least one.

    A result does not depend on what stands before or after its run.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths: NDArray[np.intp] = np.array(lengths, np.intp)
        self.starts: NDArray[np.intp] = np.cumsum(self.lengths) - self.lengths

    def halves(self) -> Runs:
        """Return the runs of twice as many numbers: the parts of complex ones."""
        return Runs((2 * self.lengths).tolist())

    def counts(self, flags: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return how many flags are set in each run."""
        found: NDArray[np.intp] = np.add.reduceat(flags, self.starts, dtype=np.intp)
        return found

    def sums(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the sum of each run."""
        found: NDArray[Any] = np.add.reduceat(values, self.starts)
        return found

    def largest(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the maximum of each run."""
        found: NDArray[Any] = np.maximum.reduceat(values, self.starts)
        return found

    def all_of(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return whether all flags of each run are set."""
        found: NDArray[np.bool_] = np.logical_and.reduceat(flags, self.starts)
        return found

    def first(self, flags: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Return the index of the first flag that is set in each run, or of a later run."""
        places = np.append(np.flatnonzero(flags), 0)
        found: NDArray[np.intp] = places[np.searchsorted(places[:-1], self.starts)]
        return found

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the value of each run once for each of its elements."""
        return values.repeat(self.lengths)

    def norms(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the Euclidean norm of each run of finite numbers, however large or small."""
        squares = self.sums(values * values)
        found: NDArray[np.float64] = np.sqrt(squares)
        lost = ~((squares > _LOW) & (squares < _HIGH))
        if lost.any():
            largest = self.largest(np.abs(values))
            lost &= largest > 0
            if lost.any():
                scale = np.where(lost, largest, 1.0)
                scaled = values / self.spread(scale)
                found[lost] = (scale * np.sqrt(self.sums(scaled * scaled)))[lost]
        return found


# Between these a sum of squares in float64 has lost nothing to overflow and nothing that counts
# to numbers whose squares vanish.
_LOW, _HIGH = 1e-280, 1e300
