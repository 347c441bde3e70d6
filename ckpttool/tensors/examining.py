"""What one task of the pass over the bytes does: it reads its tensors and examines each.

Small tensors of one type and size are examined by the same calls, the others one by one, in chunks.
"""

from __future__ import annotations

import hashlib
from typing import (
    TYPE_CHECKING,
    Iterator,
    List,
    NamedTuple,
    Sequence,
    Tuple,
    Union,
)

import numpy as np

from ckpttool.files.crc import crc32_of
from ckpttool.files.sources import read_together
from ckpttool.findings.errors import CkpttoolError
from ckpttool.tensors.catalogue import Extent, TensorInfo
from ckpttool.tensors.gather import fill, read_range
from ckpttool.tensors.measures import Measured, Measures, measured_each, stride_for
from ckpttool.tensors.memory import aligned, allocate
from ckpttool.tensors.read_plan import Reading
from ckpttool.tensors.statistics import ROW, Moments, Statistics, of_each

if TYPE_CHECKING:
    from ckpttool.tensors.dtypes import DType
    from ckpttool.tensors.workers import Worker

# Bytes worked on at once, in memory that each thread holds one of. Every step on a chunk ends with
# waiting for the interpreter's lock, which the main thread holds while it imports torch: twice
# gather's chunk, half of the waiting.
CHUNK = 8 << 20

# Bytes at the start of a tensor that tell it from most others.
_HEAD = 64

# Bytes of a twin that are read at once: few enough that they are still in the caches.
_TWIN = 1 << 20


class Room(NamedTuple):
    """What a thread reads into: a chunk, and next to it a part of its twin."""

    chunk: memoryview
    # a bytearray, since Python compares it with the system's own function
    twin: bytearray


class Asked(NamedTuple):
    """What to compute beside the statistics.

    Attributes:
        digests: whether SHA-256 is computed.
        sample: elements of a tensor that make its sample; 0 if nothing further is measured.
    """

    digests: bool
    sample: int


class TensorValues(NamedTuple):
    """Statistics and digest of one tensor.

    Attributes:
        digest: SHA-256 of the contiguous little-endian bytes, in hexadecimal; empty if it was not
            asked for.
        minimum, maximum: over the finite elements; ints for integer types. ``None`` where
            there are none, and for complex numbers and the 4- and 6-bit floats.
        rms: root of the mean square of the finite elements; ``None`` likewise.
        nan, infinite: how many elements are NaN, how many infinite.
        head: a sum over the first of these bytes; see :mod:`ckpttool.tensors.contents`.
        same: whether its bytes are those of its twin; ``None`` where they were not compared: it has
            none, is small, or the twin cannot be read.
        measured: mean, deviation and more; ``None`` if they were not asked for, or the type is not
            read as numbers.
    """

    digest: str
    minimum: float | None
    maximum: float | None
    rms: float | None
    nan: int
    infinite: int
    head: int
    same: bool | None = None
    measured: Measured | None = None

    @property
    def varied(self) -> bool:
        """Whether two finite elements differ; false where there are no statistics."""
        return self.minimum is not None and self.minimum != self.maximum

    @property
    def is_constant(self) -> bool:
        """Whether all elements are one finite number; false where there are no statistics."""
        odd = self.nan or self.infinite
        return self.minimum is not None and self.minimum == self.maximum and not odd


# To read: a view, or an extent with a stored sum that no view covers; each with its index.
Item = Tuple[int, Union[Reading, Extent]]
# A small tensor that is examined together with others: index, reading, bytes.
_Small = Tuple[int, Reading, int]
# The result of a task: values by index of the reading, sums by index of the checksum.
Found = Tuple[List[Tuple[int, TensorValues]], List[Tuple[int, int]]]


def memory(twins: bool) -> Room:
    """Return what a thread reads into; ``twins`` if some of its tensors have one."""
    return Room(allocate(CHUNK), bytearray(_TWIN if twins else 0))


def examine_all(asked: Asked, items: Sequence[Item], worker: Worker[Room]) -> Found:
    """Read a task's items and return their values, and the checksums computed on the way."""
    values: list[tuple[int, TensorValues]] = []
    sums: list[tuple[int, int]] = []
    room = len(worker.memory.chunk) // 2
    small, alone = _parted(items, room)
    with np.errstate(all="ignore"):  # NaN is counted and reported, so numpy need not warn
        for batch in _batches(small, room):
            worker.check()
            try:
                together = _examine_together(batch, worker, asked)
            except CkpttoolError:
                # where the error names its tensor
                alone += [(index, reading) for index, reading, _ in batch]
                continue
            for index, found, crc32, checksum in together:
                values.append((index, found))
                if checksum is not None:
                    sums.append((checksum, crc32))
        for index, item in alone:
            if isinstance(item, Extent):
                sums.append((index, _sum(item, worker)))
                continue
            try:
                found, crc32 = _examine(item, worker, asked)
            except CkpttoolError as error:
                error.tensor = error.tensor or item.names[0]
                raise
            values.append((index, found))
            if item.checksum is not None:
                sums.append((item.checksum, crc32))
    return values, sums


def _examine(reading: Reading, worker: Worker[Room], asked: Asked) -> tuple[TensorValues, int]:
    info = reading.info
    digest = hashlib.sha256()
    moments = _moments(info, asked)
    crc32 = head = 0
    same = None if reading.twin is None else True
    # Few calls per chunk: each waits for the interpreter's lock, which the main thread
    # holds while it imports torch.
    for start in range(0, info.nbytes, CHUNK):
        worker.check()
        length = min(CHUNK, info.nbytes - start)
        if reading.target is None:
            chunk = worker.memory.chunk[:length]
        else:
            chunk = reading.target[start : start + length]
        fill(info, start, chunk)
        if asked.digests:
            digest.update(chunk)
        if not start:
            head = crc32_of(chunk[:_HEAD])
        if reading.checksum is not None:
            crc32 = crc32_of(chunk, crc32)
        moments.add(chunk)
        if same and reading.twin is not None:
            same = _is_twin(reading.twin, start, chunk, worker)
        worker.advance(length)
    hexadecimal = digest.hexdigest() if asked.digests else ""
    measured = moments.measured if isinstance(moments, Measures) else None
    return TensorValues(hexadecimal, *moments.statistics, head, same, measured), crc32


def _moments(info: TensorInfo, asked: Asked) -> Moments:
    if not asked.sample or not info.dtype.has_numbers:
        return Moments(info.dtype)
    return Measures(info.dtype, stride_for(info.numel, asked.sample))


def _is_twin(twin: TensorInfo, start: int, chunk: memoryview, worker: Worker[Room]) -> bool | None:
    """Whether the bytes of a chunk are those of the twin; ``None`` if these cannot be read."""
    room = worker.memory.twin
    for at in range(0, len(chunk), _TWIN):
        piece = chunk[at : at + _TWIN]
        try:
            fill(twin, start + at, memoryview(room)[: len(piece)])
        except CkpttoolError:  # of the other file: whoever compares with it reads it again
            return None
        if not room.startswith(piece):
            return False
    return True


def _parted(items: Sequence[Item], room: int) -> tuple[list[_Small], list[Item]]:
    """Return the readings that are small and plain enough to be examined together, and the rest."""
    small: list[_Small] = []
    alone: list[Item] = []
    for index, item in items:
        nbytes = 0 if isinstance(item, Extent) else _small_size(item, room)
        if nbytes:
            small.append((index, item, nbytes))  # type: ignore[arg-type]
        else:
            alone.append((index, item))
    return small, alone


def _small_size(reading: Reading, room: int) -> int:
    """Return the bytes of a small row-major tensor with numbers; 0 for all others."""
    info = reading.info
    dtype = info.dtype
    extent = info.whole
    if reading.target is not None or extent is None or not dtype.has_numbers:
        return 0
    nbytes = extent.length
    few = nbytes * 8 < ROW * dtype.part_bits and aligned(nbytes) <= room
    return nbytes if few and nbytes == info.nbytes else 0


def _batches(items: Sequence[_Small], room: int) -> Iterator[list[_Small]]:
    """Yield the readings in order, as many at a time as fit into ``room`` bytes, aligned."""
    batch: list[_Small] = []
    size = 0
    for item in items:
        needed = aligned(item[2])
        if batch and size + needed > room:
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += needed
    if batch:
        yield batch


def _examine_together(
    batch: Sequence[_Small], worker: Worker[Room], asked: Asked
) -> list[tuple[int, TensorValues, int, int | None]]:
    """Examine small tensors, those of one type and size by the same calls.

    Returns:
        Index, values and CRC-32 of each, and the index of the stored sum, if there is one.
    """
    kinds: dict[tuple[str, int], list[_Small]] = {}
    for item in batch:
        kinds.setdefault((item[1].info.dtype.name, item[2]), []).append(item)
    half = len(worker.memory.chunk) // 2
    packed, scratch = worker.memory.chunk[:half], worker.memory.chunk[half:]
    starts, readings, end = [], [], 0
    for (_, nbytes), members in kinds.items():
        starts.append(end)
        for place, (_, reading, _) in enumerate(members):
            source, offset, _ = reading.info.extents[0]
            at = end + place * nbytes
            readings.append((source, offset, packed[at : at + nbytes]))
        end = aligned(end + len(members) * nbytes)
    readings.sort(key=lambda one: (id(one[0]), one[1]))
    read_together(readings, scratch)
    found: list[tuple[int, TensorValues, int, int | None]] = []
    for ((_, nbytes), members), start in zip(kinds.items(), starts):
        raw = packed[start : start + len(members) * nbytes]
        each = _of_each(members[0][1].info.dtype, raw, len(members), asked)
        for place, ((index, reading, _), told, measured) in enumerate(zip(members, *each)):
            piece = raw[place * nbytes : (place + 1) * nbytes]
            head = crc32_of(piece[:_HEAD])
            digest = hashlib.sha256(piece).hexdigest() if asked.digests else ""
            crc32 = head if nbytes <= _HEAD or reading.checksum is None else crc32_of(piece)
            values = TensorValues(digest, *told, head, None, measured)
            found.append((index, values, crc32, reading.checksum))
        worker.advance(len(raw))
    return found


def _of_each(
    dtype: DType, raw: memoryview, number: int, asked: Asked
) -> tuple[Sequence[Statistics], Sequence[Measured | None]]:
    if asked.sample:
        return measured_each(dtype, raw, number, asked.sample)
    return of_each(dtype, raw, number), [None] * number


def _sum(extent: Extent, worker: Worker[Room]) -> int:
    """Return the CRC-32 sum of an extent that no tensor covers exactly."""
    crc32 = 0
    for start in range(0, extent.length, CHUNK):
        worker.check()
        chunk = worker.memory.chunk[: min(CHUNK, extent.length - start)]
        read_range((extent,), start, chunk)
        crc32 = crc32_of(chunk, crc32)
        worker.advance(len(chunk))
    return crc32
