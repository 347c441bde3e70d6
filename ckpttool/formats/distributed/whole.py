"""One tensor from its parts: extents one after the other where it is cut into runs of bytes.

Cut in any other way, its bytes are assembled when they are read.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple, Sequence

from ckpttool.formats.objects.storages import UnsupportedTensorError
from ckpttool.tensors.assembled import AssembledSource
from ckpttool.tensors.catalogue import Extent

if TYPE_CHECKING:
    from ckpttool.tensors.assembled import Block

# numpy 1 arrays have at most 32 axes.
_MAX_AXES = 32


class Whole(NamedTuple):
    """The bytes of a tensor.

    Attributes:
        extent: all of them, as one run.
        rows: the same as runs of files, one after the other; the extent alone where it is one.
    """

    extent: Extent
    rows: tuple[Extent, ...]


def row_major(sizes: Sequence[int]) -> tuple[int, ...]:
    """Return the strides of a row-major tensor, in elements."""
    strides: list[int] = []
    step = 1
    for size in reversed(sizes):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def whole_of(path: str, shape: tuple[int, ...], itemsize: int, blocks: Sequence[Block]) -> Whole:
    """Return the bytes of a tensor, which has elements.

    Args:
        path: the file that lists the parts, for messages.
        shape: the tensor's.
        itemsize: bytes of an element.
        blocks: its parts, which cover it.

    Raises:
        UnsupportedTensorError: the tensor has more axes than numpy can hold.
    """
    rows = _rows(shape, itemsize, blocks)
    if len(rows) == 1:
        return Whole(rows[0], rows)
    if sum(length != 1 for length in shape) > _MAX_AXES:
        raise UnsupportedTensorError("a tensor of more axes than can be put together")
    source = AssembledSource(path, shape, itemsize, blocks)
    extent = Extent(source, 0, source.size)
    return Whole(extent, rows or (extent,))


def _rows(shape: tuple[int, ...], itemsize: int, blocks: Sequence[Block]) -> tuple[Extent, ...]:
    """Return the parts one after the other; nothing if one is no run of the tensor's bytes."""
    # along the first axis of more than one element, and whole along all others
    axis = next((axis for axis, length in enumerate(shape) if length != 1), 0)
    for _, sizes, strides, extent in blocks:
        whole = sizes[axis + 1 :] == shape[axis + 1 :] and strides == row_major(sizes)
        if not whole or extent.length != prod(sizes) * itemsize:
            return ()
    ordered = sorted(blocks, key=lambda block: block.offsets)
    return tuple(block.extent for block in ordered)
