"""Numbers by which some pairs of a block are picked, and where the largest of them are.

The largest of every stretch is found in one pass. After that only the stretches are looked into
that can have what is asked for, which is mostly one or none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Keys in a stretch.
_STRETCH = 4096
# Stretches that are looked into one by one; of more, the whole block is.
_FEW = 8
# One in so many or fewer are worth a closer look at eights of them.
_RARE = 8
# Places that are given at once.
_PART = 1 << 16


class Keys:
    """The keys of a block.

    Args:
        values: one key a pair, of a type with an order; at least one. NaN is smaller than all.

    Attributes:
        most: the largest.
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values
        larger = np.fmax if values.dtype.kind == "f" else np.maximum
        self._largest = larger.reduceat(values, np.arange(0, len(values), _STRETCH))
        self.most = larger.reduce(self._largest).item()

    def places(self, least: float) -> Iterator[NDArray[np.intp]]:
        """Yield the places of the keys that are not less than ``least``, in order, some at once."""
        bound = self._values.dtype.type(least)
        if not self.most >= bound:
            return
        stretches = np.flatnonzero(self._largest >= bound) * _STRETCH
        if len(stretches) > _FEW:
            found = _places(self._values >= bound)
        else:
            inside = [np.flatnonzero(self._stretch(first) >= bound) for first in stretches]
            found = np.concatenate([first + some for first, some in zip(stretches, inside)])
        for start in range(0, len(found), _PART):
            yield found[start : start + _PART]

    def at_least(self, least: int, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return those of the places whose key, an integer here, is not less than ``least``."""
        chosen: NDArray[np.intp] = places[self._values[places] >= self._values.dtype.type(least)]
        return chosen

    def most_below(self, bound: int) -> int:
        """Return the largest key, an integer here, that is less than ``bound``; 0 if none is."""
        limit = self._values.dtype.type(bound)
        below = self._largest < limit
        most = int(self._largest[below].max(initial=0))
        for first in np.flatnonzero(~below) * _STRETCH:
            stretch = self._stretch(first)
            most = max(most, int(stretch[stretch < limit].max(initial=0)))
        return most

    def _stretch(self, first: np.integer[Any]) -> NDArray[Any]:
        return self._values[first : first + _STRETCH]


def _places(chosen: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the places of the chosen ones: of few, three times as fast as ``flatnonzero``."""
    whole = len(chosen) // 8 * 8
    eights = np.flatnonzero(chosen[:whole].view(np.uint64) != 0)
    if len(eights) * _RARE > len(chosen) // 8:
        return np.flatnonzero(chosen)
    inside = np.flatnonzero(chosen[:whole].reshape(-1, 8)[eights])
    return np.concatenate(
        (8 * eights[inside // 8] + inside % 8, whole + np.flatnonzero(chosen[whole:]))
    )
