"""Codes of quantized weights, and the numbers that scales and zero points make of them.

The arithmetic is the one of the formats: ``(code - zero point) * scale`` in float32, each step
rounded to nearest even. Codes of 8 bits and less, zero points, and scales of 16 bits and less are
exact in float32, so for most weights the product is the one thing that is rounded. Sources: the
OCP specification of microscaling formats 1.0, and what the libraries compute that write the others.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Iterator, NamedTuple

from ckpttool.files.sources import READ_COST
from ckpttool.tensors.gather import fill

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.dtypes import DType

# E2M1 by its bits without the sign: the OCP specification, section 5.3.3.
_FOUR_BITS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


class CodeType(NamedTuple):
    """What a code is.

    Attributes:
        bits: 4 or 8; of 4 bits two lie in a byte, the first in its lower half.
        dtype: a type of 8 bits, whose numbers they are; ``None`` for those of 4 bits.
        offset: what the codes are less; ``None`` for floats, and for integers with a sign.
    """

    bits: int
    dtype: DType | None = None
    offset: int | None = None

    @property
    def in_a_byte(self) -> int:
        """Codes in a byte."""
        return 8 // self.bits


#: E2M1, of MXFP4 and NVFP4.
FOUR_BIT_FLOATS = CodeType(4)


class Planes(NamedTuple):
    """Matrices of one size that follow each other; a weight of more axes is so many of them."""

    planes: int
    rows: int
    columns: int

    @property
    def numel(self) -> int:
        """Number of elements."""
        return self.planes * self.rows * self.columns


class Box(NamedTuple):
    """A part of one plane: rows and columns, each from the first to before the last."""

    plane: int
    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left


class Grid(NamedTuple):
    """Numbers that each belong to a block of codes: scales, or zero points.

    Attributes:
        info: the tensor, whose elements are those of ``shape`` in row-major order.
        dtype: how its bytes are read; another type than its own where bytes are exponents.
        shape: planes, and how many blocks lie below and beside each other in one; a single plane
            serves all of the weight.
        height, width: of a block, in codes; the last ones may reach beyond the weight.
    """

    info: TensorInfo
    dtype: DType
    shape: Planes
    height: int
    width: int

    def pieces(self, box: Box) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Yield the numbers of a box: (first row, behind the last row, numbers) from its top on.

        The numbers are float32 and broadcast to the rows and columns of the piece.
        """
        import numpy as np

        first, last = box.left // self.width, -(-box.right // self.width)
        shift = box.left - first * self.width
        top, bottom = box.top // self.height, -(-box.bottom // self.height)
        values = self._read(box.plane, top, bottom, first, last)
        if last - first > 1:
            values = np.repeat(values, self.width, axis=1)[:, shift : shift + box.width]
        if self.height == 1:
            yield 0, box.height, values
            return
        for row in range(top, bottom):
            start = max(row * self.height, box.top) - box.top
            stop = min((row + 1) * self.height, box.bottom) - box.top
            yield start, stop, values[row - top]

    def at(self, box: Box, rows: NDArray[Any], columns: NDArray[Any]) -> NDArray[Any]:
        """Return the numbers of single codes, by their rows and columns in a box, as float32."""
        top, first = box.top // self.height, box.left // self.width
        values = self._read(
            box.plane, top, -(-box.bottom // self.height), first, -(-box.right // self.width)
        )
        found: NDArray[Any] = values[
            (rows + box.top) // self.height - top, (columns + box.left) // self.width - first
        ]
        return found

    def _read(self, plane: int, top: int, bottom: int, first: int, last: int) -> NDArray[Any]:
        """Return the numbers of whole rows, or of a part of one row, as float32."""
        import numpy as np

        from ckpttool.tensors.numpy_arrays import numbers

        height, width = bottom - top, last - first
        if height == 1 or width == self.shape.columns:
            runs = [(top, height)]
        else:
            runs = [(row, 1) for row in range(top, bottom)]
        size = self.info.dtype.itemsize
        raw = memoryview(bytearray(height * width * size))
        for row, count in runs:
            at = (row - top) * width * size
            line = row if self.shape.planes == 1 else plane * self.shape.rows + row
            start = line * self.shape.columns + first
            fill(self.info, start * size, raw[at : at + count * width * size])
        values = numbers(self.dtype, raw)
        assert values is not None  # noqa: S101 (whoever makes a grid looks)
        return np.asarray(values, np.float32).reshape(height, width)


class Coded(NamedTuple):
    """A quantized weight: codes, and what makes numbers of them.

    Attributes:
        codes: bytes, each one code or two.
        kind: their type.
        shape: of the codes, one by one.
        scales: what codes are multiplied by.
        zeros: what is subtracted from them before; ``None`` for nothing.
        factor: what the product is multiplied by; ``None`` for nothing.
        transposed: whether rows and columns of each plane are exchanged in the weight.
    """

    codes: TensorInfo
    kind: CodeType
    shape: Planes
    scales: Grid
    zeros: Grid | None = None
    factor: float | None = None
    transposed: bool = False

    @property
    def infos(self) -> tuple[TensorInfo, ...]:
        """The tensors that it is made of."""
        grids = [self.scales] if self.zeros is None else [self.scales, self.zeros]
        return (self.codes, *(grid.info for grid in grids))

    def boxes(self, first: int, count: int) -> Iterator[Box]:
        """Cut ``count`` codes from the ``first`` on, in row-major order, into boxes.

        A box has whole rows, or a part of one row.
        """
        width, end = self.shape.columns, first + count
        while first < end:
            line, left = divmod(first, width)
            plane, top = divmod(line, self.shape.rows)
            if left or end - first < width:
                right = min(width, left + end - first)
                yield Box(plane, top, top + 1, left, right)
                first += right - left
                continue
            bottom = min(self.shape.rows, top + (end - first) // width)
            yield Box(plane, top, bottom, 0, width)
            first += (bottom - top) * width

    def bytes_of(self, box: Box) -> NDArray[Any]:
        """Return the bytes of the codes in a box, (rows, bytes); ``left`` begins one."""
        import numpy as np

        each = self.kind.in_a_byte
        start, stop = box.left // each, -(-box.right // each)
        row = self.shape.columns // each
        line = box.plane * self.shape.rows + box.top
        whole = box.height == 1 or stop - start == row
        if not whole and row <= READ_COST:  # one read, of which columns are taken
            lines = np.empty((box.height, row), np.uint8)
            fill(self.codes, line * row, lines.reshape(-1).data)
            return lines[:, start:stop]
        found = np.empty((box.height, stop - start), np.uint8)
        if whole:
            fill(self.codes, line * row + start, found.reshape(-1).data)
            return found
        for place in range(box.height):
            fill(self.codes, (line + place) * row + start, found[place].data)
        return found

    def numbers(self, box: Box) -> NDArray[Any]:
        """Return the numbers of a box as float32, (rows, columns)."""
        import numpy as np

        values: NDArray[Any] = np.take(numbers_of(self.kind), self.bytes_of(box), axis=0)
        skip = box.left % self.kind.in_a_byte
        values = values.reshape(box.height, -1)[:, skip : skip + box.width]
        with np.errstate(all="ignore"):  # infinity and NaN are what the format says
            if self.zeros is not None:
                for top, bottom, zeros in self.zeros.pieces(box):
                    values[top:bottom] -= zeros
            for top, bottom, scales in self.scales.pieces(box):
                values[top:bottom] *= scales
            if self.factor is not None:
                values *= np.float32(self.factor)
        return values


@lru_cache(maxsize=None)
def numbers_of(kind: CodeType) -> NDArray[Any]:
    """Return the numbers in a byte by its value: (256,), or (256, 2) for codes of 4 bits."""
    import numpy as np

    from ckpttool.tensors.numpy_arrays import numbers

    every = np.arange(256, dtype=np.uint8)
    if kind.bits == 4:
        half = np.arange(16, dtype=np.float32) - np.float32(kind.offset or 0)
        if kind.offset is None:
            half = np.array([*_FOUR_BITS, *(-value for value in _FOUR_BITS)], np.float32)
        return np.stack([half[every & 15], half[every >> 4]], axis=1)
    values = every if kind.dtype is None else numbers(kind.dtype, every.data)
    assert values is not None  # noqa: S101 (codes have numbers)
    return values.astype(np.float32) - np.float32(kind.offset or 0)
