"""The fixed sine-cosine position table, in numpy alone.

The formula is that of "Attention Is All You Need" (arXiv:1706.03762, section 3.5) with all
sines first and then all cosines, once for each of the two coordinates of a patch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def get_1d_sincos_pos_embed(embed_dim: int, positions: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Encode coordinates: ``sin(p * w_i)`` for every frequency, then ``cos(p * w_i)``.

    The frequencies are ``w_i = 1 / 10000 ** (2 * i / embed_dim)``, ``0 <= i < embed_dim / 2``.

    Args:
        embed_dim: width of the encoding, even.
        positions: N coordinates in patches, of any shape; read in row-major order.

    Returns:
        Array (N, embed_dim), float64.

    Raises:
        ValueError: ``embed_dim`` is odd or not positive.
    """
    if embed_dim <= 0 or embed_dim % 2:
        raise ValueError(f"embed_dim must be even and positive, not {embed_dim}")
    half = embed_dim // 2
    frequencies = 1.0 / 10000 ** (np.arange(half, dtype=np.float64) / half)  # (D/2,)
    angles = np.outer(np.asarray(positions, dtype=np.float64), frequencies)  # (N, D/2)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)  # (N, D)


def get_1d_positions(encoded: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the coordinates that :func:`get_1d_sincos_pos_embed` encodes as these rows.

    Read off the slowest wave, so only those within half its length: 31,000 patches at width 192.

    Args:
        encoded: array (N, embed_dim).

    Returns:
        Array (N,), float64; meaningless where a row encodes nothing.
    """
    half = encoded.shape[1] // 2
    slowest: float = 10000 ** ((half - 1) / half)
    return np.arctan2(encoded[:, half - 1], encoded[:, -1]) * slowest


def get_2d_sincos_pos_embed(
    embed_dim: int, grid_size: int | tuple[int, int], cls_token: bool = False
) -> npt.NDArray[np.float64]:
    """Encode the patches of an image, row by row.

    The first half of the width encodes the horizontal coordinate and the second half the
    vertical one. The published weights carry this order, so it must stay.

    Args:
        embed_dim: width of the encoding, a multiple of 4.
        grid_size: rows and columns of patches, or the patches along one side of a square image.
        cls_token: put a row of zeros, for the class token, before the patches.

    Returns:
        Array (L, embed_dim) with L patches, or (1 + L, embed_dim); float64. The
        model holds it rounded to float32.

    Raises:
        ValueError: ``embed_dim`` is not a positive multiple of 4.
    """
    if embed_dim <= 0 or embed_dim % 4:
        raise ValueError(f"embed_dim must be a positive multiple of 4, not {embed_dim}")
    height, width = (grid_size, grid_size) if isinstance(grid_size, int) else grid_size
    rows, columns = np.divmod(np.arange(height * width), width)  # (L,), (L,)
    horizontal = get_1d_sincos_pos_embed(embed_dim // 2, columns)  # (L, D/2)
    vertical = get_1d_sincos_pos_embed(embed_dim // 2, rows)  # (L, D/2)
    table = np.concatenate([horizontal, vertical], axis=1)  # (L, D)
    if cls_token:
        table = np.concatenate([np.zeros((1, embed_dim)), table])  # (1 + L, D)
    return table
