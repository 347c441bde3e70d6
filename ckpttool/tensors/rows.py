"""A tensor's rows, and its transpose, as tensors of their own: extents alone, no byte is read.

Row-major data is contiguous along axis 0, so rows that follow each other are a range of its bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Sequence

from ckpttool.tensors.catalogue import Extent, TensorInfo

if TYPE_CHECKING:
    from ckpttool.tensors.dtypes import DType


def rows_of(info: TensorInfo) -> int:
    """Return how many rows a tensor has: its size along axis 0, 1 for a single element."""
    return info.shape[0] if info.shape else 1


def why_whole(info: TensorInfo, parts: int) -> str | None:
    """Return why a tensor cannot be cut into equal ``parts`` along axis 0; ``None`` if it can."""
    if not info.shape or info.shape[0] % parts:
        return f"its shape {list(info.shape)} has no {parts} equal parts along axis 0"
    if info.numel // parts * info.dtype.bits % 8:
        return "its parts would not fill whole bytes"  # of a 4-bit type, for example
    return None


def some_rows(info: TensorInfo, name: str, start: int, stop: int) -> TensorInfo:
    """Return the rows from ``start`` to before ``stop`` of a tensor that :func:`why_whole` allows.

    Strided tensors stay strided; the part begins at its own first element.
    """
    shape = (stop - start, *info.shape[1:])
    if info.strides is None:
        row = info.nbytes // max(1, info.shape[0])
        begin, end = start * row, stop * row
    else:
        width = info.dtype.itemsize
        begin = start * info.strides[0] * width
        reach = sum((length - 1) * stride for length, stride in zip(shape, info.strides))
        end = begin + (reach + 1) * width if all(shape) else begin
    return TensorInfo(
        name,
        info.dtype,
        shape,
        info.strides,
        tuple(cut(info.extents, begin, end)),
        info.big_endian,
    )


def transposed(info: TensorInfo, name: str) -> TensorInfo:
    """Return a matrix with its axes exchanged: the same bytes, with strides.

    Raises:
        ValueError: it is no matrix of elements of whole bytes.
    """
    if not can_be_transposed(info.shape, info.dtype):
        raise ValueError(f"{info.name!r} is not a matrix")
    height, width = info.shape
    first, second = info.strides or (width, 1)
    shape, strides = (width, height), (second, first)
    # A transpose of a transpose lies row by row again.
    row_major = strides == (height, 1) and sum(one.length for one in info.extents) == info.nbytes
    return TensorInfo(
        name, info.dtype, shape, None if row_major else strides, info.extents, info.big_endian
    )


def can_be_transposed(shape: Sequence[int], dtype: DType) -> bool:
    """Whether it is a matrix of elements of whole bytes."""
    return len(shape) == 2 and dtype.bits % 8 == 0


def cut(extents: Sequence[Extent], start: int, stop: int) -> Iterator[Extent]:
    """Yield the extents of bytes ``start`` to before ``stop`` of extents laid end to end."""
    at = 0
    for source, offset, length in extents:
        first, last = max(start, at), min(stop, at + length)
        if first < last:
            yield Extent(source, offset + first - at, last - first)
        at += length
