"""Tensors that lie in memory, whole and defective, without a container around them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpttool.findings.errors import UnreadableError
from ckpttool.tensors.catalogue import Checksum, Extent, TensorInfo
from ckpttool.tensors.dtypes import DTYPES
from tests.builders.memory import MemorySource

if TYPE_CHECKING:
    from typing import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

#: Bytes around each tensor; a read that touches them is an error.
FENCE = b"\xaa" * 16


class FencedSource(MemorySource):
    """Bytes between two fences that nobody may read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(FENCE + data + FENCE, "fenced")
        self.read_bytes = 0

    def read_into(self, offset: int, buffer: memoryview) -> None:
        end = self.size - len(FENCE)
        assert len(FENCE) <= offset <= offset + len(buffer) <= end, "a fence was touched"
        self.read_bytes += len(buffer)
        super().read_into(offset, buffer)


class CutSource(MemorySource):
    """A file that somebody truncated after it was opened: every read fails."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        raise UnreadableError(f"cut before byte {len(buffer)} more", offset=offset)


class CountedSource(MemorySource):
    """A file that counts how often it is read, and that can be cut short."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data, "counted")
        self.reads = 0
        self.end = len(data)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self.reads += 1
        if offset + len(buffer) > self.end:
            raise UnreadableError("the file changed while it was being read", offset=offset)
        super().read_into(offset, buffer)


class ChangedSource(MemorySource):
    """A file that reads well and was written to meanwhile."""

    def check_unchanged(self) -> None:
        raise UnreadableError("the file changed while it was being read", path=self.name)


def in_memory(
    data: bytes,
    dtype: str,
    shape: Sequence[int],
    strides: Sequence[int] | None = None,
    *,
    big_endian: bool = False,
    name: str = "weight",
) -> TensorInfo:
    """A tensor whose only extent is ``data``, fenced on both sides."""
    extent = Extent(FencedSource(data), len(FENCE), len(data))
    steps = None if strides is None else tuple(strides)
    return TensorInfo(name, DTYPES[dtype], tuple(shape), steps, (extent,), big_endian)


def from_array(array: NDArray[Any], name: str = "weight") -> TensorInfo:
    """A row-major tensor with an array's elements; the array's dtype has torch's name."""
    little = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    return in_memory(little.tobytes(), array.dtype.name, array.shape, name=name)


def hollow(name: str, shape: tuple[int, ...], dtype: str = "float32") -> TensorInfo:
    """A tensor of which only name, dtype and shape count: there are no bytes behind it."""
    return TensorInfo(name, DTYPES[dtype], shape, None, ())


def in_parts(parts: Sequence[bytes], dtype: str, shape: Sequence[int]) -> TensorInfo:
    """A row-major tensor joined from several files."""
    extents = tuple(Extent(FencedSource(part), len(FENCE), len(part)) for part in parts)
    return TensorInfo("joined", DTYPES[dtype], tuple(shape), None, extents)


def in_one_file(parts: Sequence[bytes], dtype: str, apart: int = 0) -> list[TensorInfo]:
    """Tensors of one axis in one :class:`CountedSource`, so many bytes apart."""
    source = CountedSource(b"".join(part + FENCE[:1] * apart for part in parts))
    found, offset = [], 0
    for number, part in enumerate(parts):
        shape = (len(part) * 8 // DTYPES[dtype].bits,)
        extents = (Extent(source, offset, len(part)),)
        found.append(TensorInfo(f"t{number}", DTYPES[dtype], shape, None, extents))
        offset += len(part) + apart
    return found


def too_short(dtype: str = "float32", shape: Sequence[int] = (4,)) -> TensorInfo:
    """A tensor whose extent ends one byte before its last element does."""
    whole = in_memory(b"", dtype, shape).nbytes
    return in_memory(bytes(whole - 1), dtype, shape)


def endless_views(number: int, elements: int) -> dict[str, TensorInfo]:
    """``number`` distinct views, each of ``elements`` float32 that are one and the same."""
    single = in_memory(b"\0\0\x80\x3f", "float32", (1,))
    return {
        f"view{index}": single._replace(
            name=f"view{index}", shape=(elements, 1 + index), strides=(0, 0)
        )
        for index in range(number)
    }


def cut_while_read(name: str = "weight") -> TensorInfo:
    """A tensor of a file that was truncated after it was opened."""
    return TensorInfo(name, DTYPES["uint8"], (4,), None, (Extent(CutSource(b"four"), 0, 4),))


def changed_while_read(name: str = "weight") -> TensorInfo:
    """A tensor of a file that was written to after it was opened."""
    return TensorInfo(name, DTYPES["uint8"], (4,), None, (Extent(ChangedSource(b"four"), 0, 4),))


def catalogue(tensors: Iterable[TensorInfo]) -> Mapping[str, TensorInfo]:
    """Tensors by their names."""
    return {info.name: info for info in tensors}


def stored(info: TensorInfo, member: str = "data/0", change: int = 0) -> Checksum:
    """The checksum of a tensor's only extent, right unless ``change`` says otherwise."""
    extent = info.extents[0]
    data = bytearray(extent.length)
    extent.source.read_into(extent.offset, memoryview(data))
    return Checksum(member, extent, zlib.crc32(data) ^ change)
