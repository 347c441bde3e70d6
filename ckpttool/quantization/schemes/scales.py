"""The shapes that scales may have: one for a tensor, a row, a group of a row, or a block."""

from __future__ import annotations

from math import prod
from typing import Iterable

from ckpttool.quantization.packed import Shape

#: Sizes of blocks and groups in use, the most frequent first.
USUAL = (128, 32, 64, 16, 256, 512)
#: Rows and columns of the blocks of fine-grained fp8, where no configuration says so.
BLOCK = (128, 128)


def ceil(length: int, size: int) -> int:
    """Return how many blocks of ``size`` a length has, the last of which may be shorter."""
    return -(-length // size)


def of_tensor(shape: Shape) -> tuple[Shape, ...]:
    """Return the shapes of one scale a tensor: of each matrix, where several are stacked."""
    lead = shape[:-2]
    stacked = (lead, (*lead, 1), (*lead, 1, 1)) if lead else ()
    return ((), (1,), (1, 1), *stacked)


def of_rows(shape: Shape) -> tuple[Shape, ...]:
    """Return the shapes of one scale a row."""
    rows = shape[:-1]
    return ((*rows, 1), rows, (1, *rows)) if len(shape) == 2 else ((*rows, 1), rows)


def of_groups(shape: Shape, size: int) -> Shape:
    """Return the shape of one scale for ``size`` elements of a row; -1 for all of them."""
    return (*shape[:-1], ceil(shape[-1], size) if size > 0 else 1)


def of_blocks(shape: Shape, block: tuple[int, int]) -> Shape:
    """Return the shape of one scale for a block of rows and columns."""
    return (*shape[:-2], ceil(shape[-2], block[0]), ceil(shape[-1], block[1]))


def shown_block(shape: Shape, scale: Shape) -> tuple[int, int] | None:
    """Return the block that the shapes show; ``None`` if none divides the one into the other."""
    if len(shape) < 2 or len(shape) != len(scale) or shape[:-2] != scale[:-2]:
        return None
    rows, columns = map(_shown, shape[-2:], scale[-2:])
    return (rows, columns) if rows and columns else None


def _shown(length: int, blocks: int) -> int:
    if blocks == length:
        return 1
    if blocks == 1:
        return length
    if blocks <= 0 or blocks > length:
        return 0
    for size in USUAL:
        if ceil(length, size) == blocks:
            return size
    size = ceil(length, blocks)
    return size if ceil(length, size) == blocks else 0


def group_of(length: int, groups: int) -> int:
    """Return how many of ``length`` inputs share a scale; 0 if the groups do not divide them."""
    return _shown(length, groups)


def is_one(shape: Shape) -> bool:
    """Whether it is the shape of a single number."""
    return prod(shape) == 1


def each(shapes: Iterable[Shape]) -> tuple[Shape, ...]:
    """Return the shapes once each, in order."""
    return tuple(dict.fromkeys(shapes))
