"""Quantized weights as plain tensors, decoded in bounded memory wherever their bytes are read.

A decoded weight is a tensor like any other: its one extent lies in a source that decodes what is
read from it. So nothing that renames, splits, writes, compares or sums tensors needs to know of it.
The numbers of :mod:`ckpttool.quantization.codes` are rounded once more, to the type that is asked
for, to nearest even.
"""

from __future__ import annotations

from threading import local
from typing import TYPE_CHECKING

from ckpttool.files.sources import check_all_unchanged
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UnreadableError
from ckpttool.quantization.codes import Box
from ckpttool.tensors.catalogue import Extent, TensorInfo

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from ckpttool.quantization.codes import Coded, Planes
    from ckpttool.tensors.dtypes import DType

# Elements that are decoded at once: as float32 they stay in a core's cache.
_STEP = 1 << 17
# Elements of a tile of a transposed weight, which each thread keeps until it reads another one. Its
# rows are read in pieces: wide tiles read them less often.
_TILE = 1 << 21
# Columns of a tile, at least, so that a row of codes is not read for a few of them.
_LEAST_COLUMNS = 64


class DecodedSource:
    """The elements of a quantized weight, row-major and little-endian, decoded as they are read.

    Args:
        coded: the weight.
        dtype: what the numbers are rounded to, to nearest even: a float of 16 or 32 bits.
    """

    identity = None

    def __init__(self, coded: Coded, dtype: DType) -> None:
        self.name = coded.codes.extents[0].source.name if coded.codes.extents else ""
        self.size = coded.shape.numel * dtype.itemsize
        self.is_far = any(one.source.is_far for info in coded.infos for one in info.extents)
        self._coded = coded
        self._dtype = dtype

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` with the bytes from ``offset`` on.

        Raises:
            UnreadableError: that reaches outside, or the parts cannot be read.
        """
        if not 0 <= offset <= offset + len(buffer) <= self.size:
            raise UnreadableError("the bytes end early", rules.UNREADABLE, offset=offset)
        width = self._dtype.itemsize
        first, end = offset // width, -(-(offset + len(buffer)) // width)
        out = buffer
        if offset % width or len(buffer) % width:  # elements cut in two
            out = memoryview(bytearray((end - first) * width))
        try:
            if self._coded.transposed:
                self._fill_transposed(first, out)
            else:
                self._fill(first, out)
        except CkpttoolError as error:
            error.tensor = error.tensor or self._coded.codes.name
            raise
        if out is not buffer:
            skip = offset - first * width
            buffer[:] = out[skip : skip + len(buffer)]

    def check_unchanged(self) -> None:
        """Raise UnreadableError if a file that it is decoded from is no longer what was opened."""
        check_all_unchanged(extent.source for info in self._coded.infos for extent in info.extents)

    def rest(self) -> None:
        """Nothing: the files rest, or not, where they were opened."""

    def close(self) -> None:
        """Nothing: the files belong to whoever opened them."""

    def _fill(self, first: int, out: memoryview) -> None:
        width = self._dtype.itemsize
        for start in range(0, len(out) // width, _STEP):
            piece = out[start * width : (start + _STEP) * width]
            at = 0
            for box in self._coded.boxes(first + start, len(piece) // width):
                size = box.height * box.width * width
                self._round(self._coded.numbers(box), piece[at : at + size])
                at += size

    def _fill_transposed(self, first: int, out: memoryview) -> None:
        """Fill from tiles: a row of the weight is a column of the codes."""
        width, shape = self._dtype.itemsize, self._coded.shape
        at, end = 0, len(out) // width
        while at < end:
            line, row = divmod(first + at, shape.rows)
            plane, column = divmod(line, shape.columns)
            tile = _tile_of(shape, plane, column, row)
            count = min(end - at, tile.bottom - row)
            numbers = self._tile(tile)
            place = ((column - tile.left) * tile.height + row - tile.top) * width
            if tile.height == shape.rows:  # the rows of the weight follow each other in the tile
                rest = (tile.right - column) * shape.rows - row
                count = min(end - at, rest)
            out[at * width : (at + count) * width] = numbers[place : place + count * width]
            at += count

    def _tile(self, box: Box) -> memoryview:
        """Return the numbers of a tile, column by column; that of the last call is kept."""
        import numpy as np

        if _KEPT.source is self and _KEPT.box == box:
            return _KEPT.data
        _KEPT.source, _KEPT.data = None, memoryview(b"")  # room for the next one
        width = self._dtype.itemsize
        made = np.empty((box.width, box.height), f"<u{width}")
        step = max(1, _STEP // box.width)
        for top in range(box.top, box.bottom, step):
            part = box._replace(top=top, bottom=min(top + step, box.bottom))
            rounded = bytearray(part.height * part.width * width)
            self._round(self._coded.numbers(part), memoryview(rounded))
            rows = np.frombuffer(rounded, made.dtype).reshape(part.height, part.width)
            made[:, top - box.top : part.bottom - box.top] = rows.T
        data = made.reshape(-1).view(np.uint8).data
        _KEPT.source, _KEPT.box, _KEPT.data = self, box, data
        return data

    def _round(self, values: NDArray[Any], out: memoryview) -> None:
        """Write float32 numbers in the type that is asked for."""
        import numpy as np

        from ckpttool.tensors.numpy_arrays import round_to_bfloat16

        with np.errstate(all="ignore"):
            if self._dtype.is_cut_float32:
                bits = round_to_bfloat16(values).view(np.uint32)
                target = np.frombuffer(out, "<u2").reshape(values.shape)
                np.right_shift(bits, 16, out=target, casting="unsafe")
            else:
                target = np.frombuffer(out, f"<{self._dtype.numpy}").reshape(values.shape)
                target[...] = values


class _Kept(local):
    """The last tile of each thread: a transposed weight is mostly read from begin to end."""

    source: DecodedSource | None = None
    box: Box | None = None
    data: memoryview = memoryview(b"")


_KEPT = _Kept()


def _tile_of(shape: Planes, plane: int, column: int, row: int) -> Box:
    """Return the tile that an element of the codes lies in."""
    width = max(_LEAST_COLUMNS, _TILE // shape.rows // _LEAST_COLUMNS * _LEAST_COLUMNS)
    height = min(shape.rows, _TILE // _LEAST_COLUMNS)
    left, top = column // width * width, row // height * height
    return Box(plane, top, min(top + height, shape.rows), left, min(left + width, shape.columns))


def decoded(name: str, coded: Coded, shape: tuple[int, ...], dtype: DType) -> TensorInfo:
    """Return the weight as a tensor of ``shape``, whose elements are decoded as they are read.

    Args:
        name: what it is called.
        coded: codes and scales; as many codes as ``shape`` has elements.
        shape: of the weight.
        dtype: the type of its elements, a float of 16 or 32 bits.
    """
    source = DecodedSource(coded, dtype)
    return TensorInfo(name, dtype, shape, None, (Extent(source, 0, source.size),))
