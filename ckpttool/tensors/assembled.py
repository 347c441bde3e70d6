"""A tensor that lies in several blocks, each a box of its elements, read as if it lay in one run.

Nothing is put together in advance: a read finds the boxes that have the bytes asked for, reads the
rows of each at once, and puts them in their places. So a tensor cut in any direction takes the
memory of one read.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from math import prod
from typing import TYPE_CHECKING, Any, Iterator, NamedTuple, Sequence

from ckpttool.files.sources import check_all_unchanged
from ckpttool.findings import rules
from ckpttool.findings.errors import UnreadableError
from ckpttool.tensors.gather import boxes, gather_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.catalogue import Extent


class Block(NamedTuple):
    """A box of a tensor's elements.

    Attributes:
        offsets: index of its first element in the tensor, one for each axis.
        sizes: how many elements it has along each axis; none is 0.
        strides: in elements, within the bytes of ``extent``.
        extent: its bytes, from its first element to its last one.
    """

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    extent: Extent


class AssembledSource:
    """The row-major bytes of a tensor, from blocks that cover it without a hole or an overlap.

    Args:
        name: in messages, the path of the file that lists the blocks.
        shape: of the tensor.
        itemsize: bytes of an element.
        blocks: the caller has checked that each element is in exactly one.
    """

    identity = None

    def __init__(
        self, name: str, shape: Sequence[int], itemsize: int, blocks: Sequence[Block]
    ) -> None:
        self.name = name
        self.size = prod(shape) * itemsize
        self.is_far = any(block.extent.source.is_far for block in blocks)
        self._itemsize = itemsize
        # an axis of one element would hide the one along which the blocks can be found
        axes = [axis for axis, length in enumerate(shape) if length != 1]
        self._shape = tuple(shape[axis] for axis in axes)
        self._blocks = sorted((_along(axes, block) for block in blocks), key=lambda one: one[0])
        self._starts = [block.offsets[0] if axes else 0 for block in self._blocks]
        ends = (block.offsets[0] + block.sizes[0] if axes else 1 for block in self._blocks)
        self._ends = list(accumulate(ends, max))  # up to each block, so that they can be searched

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with the bytes from ``offset``; raises UnreadableError if it cannot."""
        length, width = len(buffer), self._itemsize
        if not 0 <= offset <= offset + length <= self.size:
            raise UnreadableError("the bytes end early", rules.UNREADABLE, offset=offset)
        if not length:
            return
        before, after = offset % width, -(offset + length) % width
        if not before and not after:
            self._read_elements(offset // width, buffer)
            return
        whole = memoryview(bytearray(before + length + after))
        self._read_elements((offset - before) // width, whole)
        buffer[:] = whole[before : before + length]

    def _read_elements(self, first: int, out: memoryview) -> None:
        import numpy as np  # late: most tensors are read as they lie

        width = self._itemsize
        # a type of the same width that copies bit by bit; 16 bytes are only known as complex
        elements: NDArray[Any] = np.frombuffer(out, "c16" if width == 16 else f"u{width}")
        done = 0
        for starts, lengths in boxes(self._shape, first, len(elements)):
            count = prod(lengths)
            self._fill(starts, lengths, elements[done : done + count].reshape(lengths))
            done += count

    def _fill(self, starts: tuple[int, ...], lengths: tuple[int, ...], out: NDArray[Any]) -> None:
        """Fill a box of the tensor from all blocks that have a part of it."""
        begin, end = (starts[0], starts[0] + lengths[0]) if starts else (0, 1)
        low, high = bisect_left(self._ends, begin + 1), bisect_left(self._starts, end)
        for offsets, sizes, strides, extent in self._blocks[low:high]:
            inside: list[slice] = []
            first = 0
            for start, length, own, size, stride in zip(starts, lengths, offsets, sizes, strides):
                left, right = max(start, own), min(start + length, own + size)
                if left >= right:
                    break
                inside.append(slice(left - start, right - start))
                first += (left - own) * stride
            else:
                # without an axis an index would give a copy
                part = out[tuple(inside)] if inside else out
                gather_box((extent,), first, strides, part)

    @property
    def extents(self) -> Iterator[Extent]:
        """The bytes of all blocks."""
        return (block.extent for block in self._blocks)

    def check_unchanged(self) -> None:
        """Raise UnreadableError if a file is no longer the one that was opened."""
        check_all_unchanged(extent.source for extent in self.extents)

    def rest(self) -> None:
        """Nothing: the files belong to whoever opened them."""

    def close(self) -> None:
        """Nothing: the files belong to whoever opened them."""


def extents_below(extent: Extent) -> Iterator[Extent]:
    """Yield the extents of files that an extent is put together from; itself where it is of one."""
    if isinstance(extent.source, AssembledSource):
        yield from extent.source.extents
    else:
        yield extent


def _along(axes: Sequence[int], block: Block) -> Block:
    """Return a block with these axes alone."""
    offsets, sizes, strides, extent = block

    def picked(values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(values[axis] for axis in axes)

    return Block(picked(offsets), picked(sizes), picked(strides), extent)
