"""The contiguous little-endian bytes of any tensor, from any offset, in bounded memory.

A row-major tensor is read straight into the caller's buffer; a strided one is gathered from
bounded reads, so a transposed matrix needs a scratch buffer of :data:`CHUNK` bytes.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Iterator, Sequence

from ckpttool.files.sources import READ_COST, read_together
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.catalogue import Extent, TensorInfo

#: Bytes that are worked on at once: few enough for the caches, enough to make calls rare.
CHUNK = 4 << 20

# numpy 1 arrays have at most 32 axes.
_MAX_AXES = 32


def fill(info: TensorInfo, start: int, out: memoryview) -> None:
    """Fill ``out`` with the tensor's contiguous little-endian bytes from byte ``start`` on.

    Args:
        info: the tensor; its strides, byte order and joined extents are taken care of.
        start: position in the ``info.nbytes`` bytes of the row-major form, a whole number of
            elements unless the tensor is row-major and little-endian.
        out: writable bytes; ``start + len(out)`` is at most ``info.nbytes``, again a whole
            number of elements.

    Raises:
        MalformedError: the extents are shorter than the geometry needs.
        UnreadableError: the source cannot be read or was cut.
        UnsupportedError: a strided view of more axes than numpy can hold.
    """
    if not len(out):  # a tensor without elements may have no extent to read from
        return
    if info.strides is None:
        read_range(info.extents, start, out)
    else:
        _fill_strided(info, start, out)
    if info.big_endian:
        swap(info, out)


def chunks(info: TensorInfo, buffer: memoryview) -> Iterator[memoryview]:
    """Yield the tensor's contiguous little-endian bytes in order, as views of ``buffer``.

    Each piece is overwritten by the next. ``len(buffer)`` is a multiple of 16, the widest
    element. Raises what :func:`fill` raises.
    """
    for start in range(0, info.nbytes, len(buffer)):
        piece = buffer[: min(len(buffer), info.nbytes - start)]
        fill(info, start, piece)
        yield piece


def read_small(tensors: Sequence[TensorInfo], sizes: Sequence[int]) -> list[bytes]:
    """Return the contiguous little-endian bytes of tensors, neighbours in the file in one read.

    Args:
        tensors: small ones, since all are in memory at once.
        sizes: the ``nbytes`` of each.

    Raises:
        CkpttoolError: as for :func:`fill`, with the tensor's name.
    """
    memory = memoryview(bytearray(sum(sizes)))
    parts, readings, end = [], [], 0
    for info, size in zip(tensors, sizes):
        part = memory[end : end + size]
        parts.append(part)
        end += size
        extent = info.whole
        if extent is not None and extent.length == size:
            readings.append((extent.source, extent.offset, part))
        else:
            _fill_all(info, part)
    # Sources have no order of their own; their identity keeps each file's bytes together.
    readings.sort(key=lambda one: (id(one[0]), one[1]))
    try:
        read_together(readings, memoryview(bytearray(CHUNK)))
    except CkpttoolError:  # one by one, which tells whose bytes cannot be read
        for info, part in zip(tensors, parts):
            _fill_all(info, part)
    return [part.tobytes() for part in parts]


def _fill_all(info: TensorInfo, out: memoryview) -> None:
    try:
        fill(info, 0, out)
    except CkpttoolError as error:
        error.tensor = error.tensor or info.name
        raise


def read_range(extents: Sequence[Extent], start: int, out: memoryview) -> None:
    """Fill ``out`` from byte ``start`` of the extents laid end to end; never beyond them."""
    for source, offset, length in extents:
        if start >= length:
            start -= length
            continue
        taken = min(length - start, len(out))
        source.read_into(offset + start, out[:taken])
        out = out[taken:]
        start = 0
        if not len(out):
            return
    if len(out):
        raise MalformedError(
            "the tensor needs more bytes than it has",
            rules.GEOMETRY,
            found=f"{len(out):,} bytes short",
        )


def swap(info: TensorInfo, out: memoryview) -> None:
    """Reverse the bytes of every element in place; of each half for a complex number."""
    import numpy as np  # late, here and below: most tensors are read as they lie

    width = info.dtype.part_bits // 8
    if width > 1:
        np.frombuffer(out, f"u{width}").byteswap(inplace=True)


# --- strided tensors -------------------------------------------------------------------


def _fill_strided(info: TensorInfo, start: int, out: memoryview) -> None:
    import numpy as np

    shape, strides = _fewest_axes(info)
    itemsize = info.dtype.itemsize
    # A type of the same width that copies bit by bit; 16 bytes are only known as complex.
    elements: NDArray[Any] = np.frombuffer(out, "c16" if itemsize == 16 else f"u{itemsize}")
    done = 0
    for starts, lengths in boxes(shape, start // itemsize, len(elements)):
        count = prod(lengths)
        first = sum(index * stride for index, stride in zip(starts, strides))
        box = elements[done : done + count].reshape(lengths)
        gather_box(info.extents, first, strides, box)
        done += count


def _fewest_axes(info: TensorInfo) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return shape and strides without axes of one element, with neighbouring axes merged."""
    merged: list[tuple[int, int]] = []
    for length, stride in zip(info.shape, info.strides or ()):
        if length == 1:
            continue
        # Stepping once along the outer axis is walking all of this one: they are one axis.
        if merged and merged[-1][1] == length * stride:
            merged[-1] = (merged[-1][0] * length, stride)
        else:
            merged.append((length, stride))
    if len(merged) > _MAX_AXES:
        raise UnsupportedError(
            "the view has too many axes", rules.GEOMETRY, tensor=info.name, found=len(merged)
        )
    return tuple(length for length, _ in merged), tuple(stride for _, stride in merged)


def boxes(
    shape: tuple[int, ...], first: int, count: int
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Cut ``count`` elements from the ``first`` on, in row-major order, into few boxes.

    Yields (start index, lengths) for each box, in order: at most two an axis, one in the middle.
    """
    if not shape:
        yield (), ()
        return
    inner = prod(shape[1:])
    while count:
        row, within = divmod(first, inner)
        if within == 0 and count >= inner:
            taken = count // inner * inner
            yield (row, *(0 for _ in shape[1:])), (count // inner, *shape[1:])
        else:
            taken = min(inner - within, count)
            for starts, lengths in boxes(shape[1:], within, taken):
                yield (row, *starts), (1, *lengths)
        first += taken
        count -= taken


def gather_box(
    extents: Sequence[Extent], first: int, strides: tuple[int, ...], out: NDArray[Any]
) -> None:
    """Copy the box whose first element is element ``first`` of the extents into ``out``.

    ``strides`` are in elements; ``out`` has one axis for each.

    The box is read as one run of bytes where that is cheap, else cut along its widest axis:
    into single indices if the gaps between them are worth jumping over, else in two.
    """
    reach = [(length - 1) * stride for length, stride in zip(out.shape, strides)]
    span = (1 + sum(reach)) * out.itemsize
    widest = max(reach, default=0)
    if widest == 0 or span <= READ_COST:
        _gather_run(extents, first, strides, out)
        return
    axis = reach.index(widest)
    length = out.shape[axis]
    # The cost of one read for each index of this axis; what lies between them is not read.
    apart = length * (span - widest * out.itemsize + READ_COST)
    if span <= min(apart, CHUNK):
        _gather_run(extents, first, strides, out)
        return
    step = 1 if apart < span else (length + 1) // 2
    for index in range(0, length, step):
        part = out[(slice(None),) * axis + (slice(index, index + step),)]
        gather_box(extents, first + index * strides[axis], strides, part)


def _gather_run(
    extents: Sequence[Extent], first: int, strides: tuple[int, ...], out: NDArray[Any]
) -> None:
    """Read from the first to the last element of the box at once and pick the elements."""
    import numpy as np

    reach = sum((length - 1) * stride for length, stride in zip(out.shape, strides))
    if reach + 1 == out.size and out.flags.c_contiguous and _falls(out.shape, strides):
        read_range(extents, first * out.itemsize, out.reshape(-1).view(np.uint8).data)
        return
    run = np.empty(1 + reach, out.dtype)
    read_range(extents, first * out.itemsize, run.view(np.uint8).data)
    steps = tuple(stride * out.itemsize for stride in strides)
    # The constructor checks that the strides stay inside the run, unlike as_strided.
    out[...] = np.ndarray(out.shape, out.dtype, run.data, 0, steps)


def _falls(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether the strides of a gapless run are those of the row-major order."""
    steps = [stride for length, stride in zip(shape, strides) if length != 1]
    return all(step > after for step, after in zip(steps, steps[1:]))
