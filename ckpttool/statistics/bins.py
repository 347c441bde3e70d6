"""Histograms of samples: of each tensor by itself, and of blocks in bins that they share.

All samples are binned by few calls, some hundred thousand values at a time: a file may have a
hundred thousand tensors, and calls of its own for each would take longer than reading it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Bins of a tensor; fewer where there are very many tensors, and of a block.
BINS = 32
BLOCK_BINS = 64
# Bins of all tensors together, and the fewest of one.
_ALL_BINS = 1 << 20
_FEWEST = 8
# Values that are binned at once.
_AT_ONCE = 1 << 18
# Values by which the edges of blocks are chosen.
_FOR_EDGES = 1 << 16
# The share of values beyond either edge of blocks: few are far away, and would leave one bin to all
# others.
_BEYOND = 0.001


class Sampled(NamedTuple):
    """The sample of a tensor.

    Attributes:
        values: finite ones.
        lo, hi: the edges of its histogram: none of the values is outside.
        weight: how many elements one of the values stands for.
        row: of the block that it belongs to, or -1.
    """

    values: NDArray[Any]
    lo: float
    hi: float
    weight: float
    row: int


#: Of a tensor without finite numbers.
NOTHING = Sampled(np.empty(0), 0.0, 0.0, 0.0, -1)


class Edges(NamedTuple):
    """The outermost edges of bins."""

    lo: float
    hi: float


def bins_for(tensors: int) -> int:
    """Return how many bins the histogram of each of so many tensors has."""
    return max(_FEWEST, min(BINS, _ALL_BINS // max(tensors, 1)))


def counts_of_each(samples: Sequence[Sampled], bins: int) -> Iterator[Tuple[int, ...]]:
    """Yield the counts of each sample between its own edges; one bin where these are the same."""
    for some in _portions(samples):
        values, owners = _joined(some)
        edges = np.array([(one.lo, one.hi) for one in some], np.float64)
        places = _bins_of(values, edges[owners, 0], edges[owners, 1], bins)
        counts = np.bincount(owners * bins + places, minlength=len(some) * bins)
        for one, row in zip(some, counts.reshape(-1, bins).tolist()):
            yield (len(one.values),) if one.lo == one.hi else tuple(row)


def shared_edges(samples: Sequence[Sampled]) -> Edges | None:
    """Return edges between which all but few elements lie; ``None`` where there is no value."""
    step = -(-sum(len(one.values) for one in samples) // _FOR_EDGES)
    if not step:
        return None
    picked = []
    for portion in _portions(samples):
        values, owners = _joined(portion)
        weights = np.array([one.weight for one in portion], np.float64)[owners[::step]]
        picked.append((values[::step], weights))
    some, weights = (np.concatenate(column) for column in zip(*picked))
    order = np.argsort(some, kind="stable")
    # of elements, not of values: a bias has as many values in the sample as a matrix
    below = np.cumsum(weights[order])
    first, last = np.searchsorted(below, [below[-1] * _BEYOND, below[-1] * (1 - _BEYOND)])
    last = min(int(last), some.size - 1)
    lo, hi = float(some[order[first]]), float(some[order[last]])
    if lo == hi:
        lo = min(one.lo for one in samples if one is not NOTHING)
        hi = max(one.hi for one in samples if one is not NOTHING)
    return Edges(lo, hi)


def counts_of_rows(samples: Sequence[Sampled], edges: Edges, rows: int) -> List[List[int]]:
    """Return the elements of each block: below the edges, in each bin, and above them."""
    bins = BLOCK_BINS if edges.lo < edges.hi else 1
    width = bins + 2
    total = np.zeros((rows, width), np.float64)
    for some in _portions([one for one in samples if one.row >= 0]):
        values, owners = _joined(some)
        places = _bins_of(values, edges.lo, edges.hi, bins) + 1
        places[values < edges.lo] = 0
        places[values > edges.hi] = width - 1
        counts = np.bincount(owners * width + places, minlength=len(some) * width)
        weights = np.array([one.weight for one in some], np.float64)
        own = np.array([one.row for one in some])
        np.add.at(total, own, counts.reshape(-1, width) * weights[:, np.newaxis])
    found: List[List[int]] = np.rint(total).astype(np.int64).tolist()
    return found


def _portions(samples: Sequence[Sampled]) -> Iterator[Sequence[Sampled]]:
    """Yield the samples in order, in portions of about so many values."""
    portion: list[Sampled] = []
    size = 0
    for one in samples:
        portion.append(one)
        size += len(one.values) + 1
        if size >= _AT_ONCE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


def _joined(samples: Sequence[Sampled]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return all values, and which sample each is of."""
    lengths = [len(one.values) for one in samples]
    values = np.empty(sum(lengths), np.float64)
    if lengths:
        np.concatenate([one.values for one in samples], out=values, casting="unsafe")
    return values, np.repeat(np.arange(len(samples)), lengths)


def _bins_of(values: NDArray[np.float64], lo: Any, hi: Any, bins: int) -> NDArray[np.intp]:
    """Return the bin of each value."""
    # halves, since the distance of two numbers may be beyond float64
    with np.errstate(all="ignore"):  # of edges that are the same
        share = (values / 2 - np.divide(lo, 2)) / (np.divide(hi, 2) - np.divide(lo, 2))
    share = np.nan_to_num(share * bins, nan=0.0, posinf=bins, neginf=0.0)
    places: NDArray[np.intp] = np.clip(share, 0, bins - 1).astype(np.intp)
    return places
