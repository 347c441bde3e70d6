"""Position tables as they are computed: sin-cos of a grid, and interpolated to another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ckpttool.models.interpolation import BICUBIC, resized, weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.models.family import Positions
    from ckpttool.models.interpolation import Method


def computed(positions: Positions, rows: int, columns: int) -> NDArray[np.float64]:
    """Return the sin-cos table of a grid (before + rows * columns, width)."""
    across = positions.encode(np.arange(columns))
    down = positions.encode(np.arange(rows))
    return joined(across, down, positions.before)


def interpolated(
    positions: Positions, source: tuple[int, int], target: tuple[int, int], method: Method = BICUBIC
) -> NDArray[np.float64]:
    """Return the sin-cos table of one grid, interpolated to another; class token kept."""
    across = weights(method, source[1], target[1]) @ positions.encode(np.arange(source[1]))
    down = weights(method, source[0], target[0]) @ positions.encode(np.arange(source[0]))
    return joined(across, down, positions.before)


def with_grid(
    stored: NDArray[Any], before: int, source: tuple[int, int], target: tuple[int, int]
) -> NDArray[np.float64]:
    """Return any table (before + R * C, width), resized bicubically; the rows before are kept."""
    patches = stored[before:].astype(np.float64).reshape(*source, -1)
    wider = resized(BICUBIC, patches, *target).reshape(target[0] * target[1], -1)
    return np.concatenate([stored[:before].astype(np.float64), wider])


def joined(across: NDArray[Any], down: NDArray[Any], before: int) -> NDArray[np.float64]:
    """Return the table of the profiles (columns, width / 2) and (rows, width / 2)."""
    rows, columns, half = len(down), len(across), across.shape[1]
    table = np.zeros((before + rows * columns, 2 * half))
    patches = table[before:].reshape(rows, columns, 2 * half)
    patches[:, :, :half] = across
    patches[:, :, half:] = down[:, None]
    return table
