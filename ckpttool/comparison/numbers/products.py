"""Inner products of float32 in bounded memory, precise and without a BLAS's own threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# float32 products are summed in runs of this many, the runs in float64: exact to 7 digits.
_RUN = 1024
# Numbers that are widened at once.
_PART = 1 << 15


def dot(left: NDArray[Any], right: NDArray[Any]) -> float:
    """Return the inner product of two vectors of one floating type."""
    if len(left) < _RUN:  # a run and no more: the rest would only be calls
        return float(np.einsum("i,i->", left, right))
    return float(dots(left, right).sum(dtype=np.float64))


def wide_dot(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    """Return the inner product of finite numbers, whose products may be beyond float32."""
    total = 0.0
    for start in range(0, len(left), _PART):
        part = slice(start, start + _PART)
        one = left[part].astype(np.float64)
        total += dot(one, one if right is left else right[part].astype(np.float64))
    return total


def dots(left: NDArray[Any], right: NDArray[Any]) -> NDArray[Any]:
    """Return the inner products of runs of :data:`_RUN` numbers along the last axis.

    The shape is that of the arguments, with the number of runs for the last axis; the last run is
    shorter, or empty. Runs are multiplied as a stack of 1 x n by n x 1 matrices: twice as fast as
    ``einsum``, and unlike one long ``dot`` too short for BLAS to wake threads of its own.
    """
    *others, length = left.shape
    runs, rest = divmod(length, _RUN)
    whole = runs * _RUN
    found: NDArray[Any] = np.empty((*others, runs + 1), left.dtype)
    np.matmul(
        left[..., :whole].reshape(*others, runs, 1, _RUN),
        right[..., :whole].reshape(*others, runs, _RUN, 1),
        out=found[..., :runs, np.newaxis, np.newaxis],
    )
    last = (left[..., whole:], right[..., whole:])
    found[..., runs] = np.einsum("...i,...i->...", *last) if rest else 0
    return found
