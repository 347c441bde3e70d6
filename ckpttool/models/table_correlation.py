"""Which sin-cos table a position table varies like, for one that training has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ckpttool.models.interpolation import BICUBIC, weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.models.family import Positions

#: Patches along a side, beyond which interpolations are not looked for.
LONGEST = 256
_SOURCES = 128  # patches along a side of the largest image that tables are interpolated from
_FEATURES = 64  # of each half, which are enough to tell


def most_correlated(
    stored: NDArray[np.float64], positions: Positions
) -> tuple[float, tuple[int, int]]:
    """Return how much a table varies like a sin-cos table, and from which grid that one comes.

    The correlation is over the patches, each feature about its mean, of some features spread over
    all; by the profiles along the axes alone, since a computed table is the sum of them.

    Args:
        stored: (tokens, width), all finite.
        positions: the grid, and how its table is computed.

    Returns:
        The largest correlation, 0 for none above, and rows and columns of the grid from which the
        table of ``positions`` is interpolated, its own one if it is not.
    """
    rows, columns = grid = positions.rows, positions.columns
    half = stored.shape[1] // 2
    shaped = stored[positions.before :].reshape(rows, columns, 2 * half)
    some = slice(None, None, max(half // _FEATURES, 1))
    halves = [shaped[:, :, :half][..., some], shaped[:, :, half:][..., some]]
    halves = [part - part.mean(axis=(0, 1)) for part in halves]
    norm = float(sum((part * part).sum() for part in halves)) ** 0.5
    across, down = halves[0].mean(axis=0), halves[1].mean(axis=1)
    best, source = 0.0, grid
    sources = range(2, min(4 * max(grid), _SOURCES) + 1) if max(grid) <= LONGEST else ()
    for side in {columns, *sources}:
        other = rows if side == columns else max(round(side * rows / columns), 1)
        x = _profile(positions, side, columns, some)
        y = _profile(positions, other, rows, some)
        product = rows * float((across * x).sum()) + columns * float((down * y).sum())
        size = (rows * float((x * x).sum()) + columns * float((y * y).sum())) ** 0.5
        correlation = product / (norm * size) if norm * size else 0.0
        if correlation > best:
            best, source = correlation, (other, side)
    return best, source


def _profile(positions: Positions, source: int, target: int, some: slice) -> NDArray[Any]:
    """Return some features along an axis, interpolated, each about its mean."""
    profile = positions.encode(np.arange(source))[:, some]
    if source != target:
        profile = weights(BICUBIC, source, target) @ profile
    return np.asarray(profile - profile.mean(axis=0))
