"""Copying tensors to their places, and proving each by reading back what was written.

Threads copy several tensors at a time, each in pieces that fit into the caches: a piece is read,
written, read back, compared and hashed. Memory does not grow with the tensors. Row-major tensors
need neither torch nor numpy.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from typing import TYPE_CHECKING, Callable, Iterator, NamedTuple, Sequence, Set

from ckpttool.files.positional import not_as_written, read_back, write_at
from ckpttool.files.sources import check_all_unchanged
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError
from ckpttool.formats.writing import stored_sums
from ckpttool.formats.writing.file_layout import FileLayout, Slot
from ckpttool.tensors.catalogue import Checksum, Extent
from ckpttool.tensors.workers import Work, Worker

if TYPE_CHECKING:
    from concurrent.futures import Executor

# Bytes that are worked on at once; the source's and what was written fit into a core's cache.
# Pieces that are copied end where the destination's offset is a multiple of it: whole pages, and
# large ones, take a third less time to write than halves of two.
_CHUNK = 512 << 10
# glibc keeps 16 bytes before memory of this size; the system copies faster to and from a
# multiple of 32, by an eighth.
_BEFORE = 48


class PieceDigest(NamedTuple):
    """What was read and written of one tensor, both proven the same.

    Attributes:
        sha256: of the row-major little-endian elements as written, in hexadecimal.
        crc32: of the same bytes, where the layout or a stored sum needs it; else 0.
        source_sha256: of the elements as they are in the source; another one after a cast.
        overflow, underflow: finite elements that a cast made infinite, and those it made zero.
    """

    sha256: str
    crc32: int
    source_sha256: str
    overflow: int = 0
    underflow: int = 0


def copy_layout(
    layout: FileLayout,
    fd: int,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    on_bytes: Callable[[int], None] | None = None,
    checksums: Sequence[Checksum] = (),
    write_early: bool = False,
) -> dict[str, PieceDigest]:
    """Put every tensor into its slot and prove it.

    Args:
        layout: the slots. The bytes around them are not written here.
        fd: the destination, open for reading and writing.
        workers: threads; ``None`` for one a processor, at most 16.
        executor: runs them; see :class:`ckpttool.tensors.workers.Work`.
        on_bytes: called with how many more bytes were proven, from any of the threads.
        checksums: the source's stored checksums; those over bytes that are read are compared.
        write_early: let the disk start on each tensor at once, for a file that is synced.

    Returns:
        Digests by name, in the order of the slots.

    Raises:
        MalformedError: the bytes of the source do not match their stored sum.
        UnreadableError: the source cannot be read, or changed meanwhile.
        UnsupportedError: a cast that is not supported.
        OutputError: the destination cannot be written, or does not hold what was written.
        UsageError: fewer than one worker, or an executor of other processes.
        ValueError: slots that overlap.
    """
    _require_apart(layout.slots)
    summed = {slot.piece.name for slot in layout.slots} if layout.members else set()
    summed |= stored_sums.on_the_way(layout.slots, checksums)
    copying = _Copying(fd, summed, write_early)
    digests: dict[str, PieceDigest] = {}
    sums: dict[Extent, int] = {}

    def do(task: Slot | Extent, worker: Worker[_Buffers]) -> None:
        if isinstance(task, Slot):
            digests[task.piece.name] = copying.place(task, worker)
        else:
            sums[task] = _sum(task, worker)

    tasks: list[Slot | Extent] = [*layout.slots, *stored_sums.apart(layout.slots, checksums)]
    # The largest first: a large one that begins last would leave the other threads idle.
    tasks.sort(key=lambda task: -task.length)
    Work(do, tasks, _Buffers, workers=workers, executor=executor, progress=on_bytes).results()
    check_all_unchanged(extent.source for extent in stored_sums.extents(layout.slots))
    found = {name: digest.crc32 for name, digest in digests.items()}
    stored_sums.compare(layout.slots, checksums, found, sums)
    return {slot.piece.name: digests[slot.piece.name] for slot in layout.slots}


class _Buffers:
    """A thread's memory: one chunk of the source and one of what was written."""

    def __init__(self) -> None:
        # Bytearrays are compared by memcmp, memoryviews element by element.
        self._source, self._written = bytearray(_BEFORE + _CHUNK), bytearray(_BEFORE + _CHUNK)
        self.source = memoryview(self._source)[_BEFORE:]
        self.written = memoryview(self._written)[_BEFORE:]

    def same(self, length: int) -> bool:
        """Whether the first ``length`` bytes of both are the same."""
        # A slice would be a copy. The bytes behind ``length`` are mostly equal since the comparison
        # before, so comparing whole buffers is tried first.
        if 2 * length > _CHUNK and self._source == self._written:
            return True
        return self.source[:length].tobytes() == self.written[:length].tobytes()


class _Copying:
    """One copying of one file, shared by its threads."""

    def __init__(self, fd: int, summed: Set[str], write_early: bool) -> None:
        self._fd = fd
        self._summed = summed
        self._write_early = write_early and hasattr(os, "posix_fadvise")

    def place(self, slot: Slot, worker: Worker[_Buffers]) -> PieceDigest:
        """Put one tensor into its slot and prove it."""
        piece = slot.piece
        try:
            digest = self._copy(slot, worker) if piece.is_copy else self._convert(slot, worker)
        except CkpttoolError as error:
            error.tensor = error.tensor or piece.name
            raise
        if self._write_early and slot.length:
            # The pages are not needed any more; dropping them makes the kernel write them now,
            # instead of all at once in the final fsync.
            os.posix_fadvise(self._fd, slot.offset, slot.length, os.POSIX_FADV_DONTNEED)
        return digest

    def _copy(self, slot: Slot, worker: Worker[_Buffers]) -> PieceDigest:
        """Copy bytes that are written just as they lie in the source."""
        sha, crc32, summed = hashlib.sha256(), 0, slot.piece.name in self._summed
        place = slot.offset
        for part in _parts(slot):
            worker.check()
            chunk = worker.memory.source[: part.length]
            part.source.read_into(part.offset, chunk)
            self._put(slot, worker, chunk, place)
            sha.update(chunk)
            if summed:
                crc32 = zlib.crc32(chunk, crc32)
            place += part.length
        digest = sha.hexdigest()
        return PieceDigest(digest, crc32, digest)

    def _convert(self, slot: Slot, worker: Worker[_Buffers]) -> PieceDigest:
        """Write bytes that must be gathered, swapped or cast first, in bounded chunks."""
        from ckpttool.formats.writing.casting import cast
        from ckpttool.tensors.gather import fill  # numpy, which nothing else here needs

        info, dtype = slot.piece.info, slot.piece.dtype
        sha, source_sha = hashlib.sha256(), hashlib.sha256()
        crc32, summed = 0, slot.piece.name in self._summed
        overflow = underflow = 0
        # 16 bytes is the widest element, so a chunk of this many fits into the buffers of both
        # sides.
        count = _CHUNK // 16
        raw = memoryview(bytearray(count * info.dtype.itemsize))
        for first in range(0, info.numel, count):
            worker.check()
            elements = min(count, info.numel - first)
            data = raw[: elements * info.dtype.itemsize]
            fill(info, first * info.dtype.itemsize, data)
            out = worker.memory.source[: elements * dtype.itemsize]
            if slot.piece.cast:
                source_sha.update(data)
                losses = cast(info.dtype, dtype, data, out)
                overflow += losses.overflow
                underflow += losses.underflow
            else:
                out[:] = data
            self._put(slot, worker, out, slot.offset + first * dtype.itemsize)
            sha.update(out)
            if summed:
                crc32 = zlib.crc32(out, crc32)
        digest = sha.hexdigest()
        source_digest = source_sha.hexdigest() if slot.piece.cast else digest
        return PieceDigest(digest, crc32, source_digest, overflow, underflow)

    def _put(self, slot: Slot, worker: Worker[_Buffers], chunk: memoryview, place: int) -> None:
        """Write a chunk of the source's buffer at ``place``, and compare what is read back."""
        write_at(self._fd, chunk, place)
        read_back(self._fd, worker.memory.written[: len(chunk)], place)
        if not worker.memory.same(len(chunk)):
            raise not_as_written(place, slot.piece.name)
        worker.advance(len(chunk))


def _sum(extent: Extent, worker: Worker[_Buffers]) -> int:
    """Return the CRC-32 of an extent that no tensor covers exactly."""
    crc32 = 0
    for start in range(0, extent.length, _CHUNK):
        worker.check()
        chunk = worker.memory.source[: min(_CHUNK, extent.length - start)]
        extent.source.read_into(extent.offset + start, chunk)
        crc32 = zlib.crc32(chunk, crc32)
    return crc32


def _parts(slot: Slot) -> Iterator[Extent]:
    """Cut a slot's bytes into pieces, which end at multiples of the chunk in the destination."""
    extents = slot.piece.info.extents
    # Fewer bytes would leave a gap of zeros, and more would overwrite the next tensor.
    found = sum(extent.length for extent in extents)
    if found != slot.length:
        raise MalformedError(
            "the tensor has more or fewer bytes than it needs",
            rules.GEOMETRY,
            expected=f"{slot.length:,}",
            found=f"{found:,}",
        )
    place = slot.offset
    for source, offset, length in extents:
        end = offset + length
        while offset < end:
            part = Extent(source, offset, min(_CHUNK - place % _CHUNK, end - offset))
            yield part
            offset += part.length
            place += part.length


def _require_apart(slots: Sequence[Slot]) -> None:
    """A slot that is written twice would pass every proof but its own last one."""
    end = 0
    for offset, length, piece in sorted(slots, key=lambda slot: (slot.offset, slot.length)):
        if offset < end or length != piece.nbytes:
            raise ValueError(f"the slot of {piece.name!r} is not its own")
        end = offset + length
