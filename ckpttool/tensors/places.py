"""Where something lies: which tensors are in some bytes, and at which index of a tensor it is."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping

import numpy as np

from ckpttool.tensors.gather import CHUNK, chunks
from ckpttool.tensors.numpy_arrays import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.catalogue import Extent, TensorInfo


def tensors_in(
    tensors: Mapping[str, TensorInfo], extents: Iterable[Extent]
) -> dict[Extent, list[str]]:
    """Return the names of the tensors that have bytes in each of some extents, which lie apart."""
    found: dict[Extent, list[str]] = {extent: [] for extent in extents}
    if not found:
        return found
    # by bisection: a file may have a million tensors, and as many records
    ordered = sorted(found, key=lambda one: (id(one.source), one.offset))
    starts = [(id(one.source), one.offset) for one in ordered]
    for name, info in tensors.items():
        for extent in info.extents:
            begin, end = (id(extent.source), extent.offset), extent.offset + extent.length
            at = max(bisect_right(starts, begin) - 1, 0)
            while at < len(ordered) and starts[at] < (id(extent.source), end):
                one = ordered[at]
                if one.source is extent.source and one.offset + one.length > extent.offset:
                    names = found[one]
                    if not names or names[-1] != name:
                        names.append(name)
                at += 1
    return found


def first_index(
    info: TensorInfo, holds: Callable[[NDArray[Any]], NDArray[Any]]
) -> tuple[int, ...] | None:
    """Return the index of the first element of which something holds, as it is read.

    Args:
        info: the tensor; of one without numbers nothing is known.
        holds: such as ``numpy.isnan``.

    Raises:
        CkpttoolError: its bytes cannot be read.
    """
    if not info.dtype.has_numbers:
        return None
    parts = 2 if info.dtype.kind == "complex" else 1
    before = 0
    for piece in chunks(info, memoryview(bytearray(min(CHUNK, max(info.nbytes, 1))))):
        block = numbers(info.dtype, piece)
        if block is None:
            return None
        hits = np.flatnonzero(holds(block))
        if hits.size:
            return _unravelled((before + int(hits[0])) // parts, info.shape)
        before += block.size
    return None


def _unravelled(number: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    index = []
    for length in reversed(shape):
        number, at = divmod(number, length)
        index.append(at)
    return tuple(reversed(index))
