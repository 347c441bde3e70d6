"""Copying tensors to their places and proving each by reading back what was written.

Several tensors at a time, the largest first, each in pieces that fit into the caches: a piece
of the source is read, written, read back, compared and hashed. Memory does not depend on the
size of anything. Row-major tensors need no torch, and numpy only to be quicker.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event
from typing import Callable, Deque, Iterator, NamedTuple, Sequence, Set

from ckpttool.files.positional import not_as_written, read_back, write_at
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError
from ckpttool.formats.writing import stored_sums
from ckpttool.formats.writing.crc32 import Crc32Maker
from ckpttool.formats.writing.file_layout import FileLayout, Slot
from ckpttool.formats.writing.system_copy import Writer
from ckpttool.tensors.catalogue import Checksum, Extent
from ckpttool.tensors.workers import processors, quick_switches

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
    on_bytes: Callable[[int], None] | None = None,
    checksums: Sequence[Checksum] = (),
    write_early: bool = False,
) -> dict[str, PieceDigest]:
    """Put every tensor into its slot and prove it.

    Args:
        layout: where they go. The bytes around them are not written here.
        fd: the destination, open for reading and writing.
        workers: threads; ``None`` for one a processor, at most 16.
        on_bytes: told how many bytes more were written and proven, from any of the threads.
        checksums: the source's stored sums; those over bytes that are read are compared.
        write_early: let the disk start on each tensor at once, for a file that is synced.

    Returns:
        Digests by name, in the order of the slots.

    Raises:
        MalformedError: the bytes of the source do not match their stored sum.
        UnreadableError: the source cannot be read, or changed meanwhile.
        UnsupportedError: a cast that there is not.
        OutputError: the destination cannot be written, or holds something else than was
            written to it.
        ValueError: fewer than one worker, or slots that overlap.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, not {workers}")
    _require_apart(layout.slots)
    summed = {slot.piece.name for slot in layout.slots} if layout.members else set()
    summed |= stored_sums.on_the_way(layout.slots, checksums)
    job = _Job(fd, summed, on_bytes or _nothing, write_early)
    tasks = _largest_first(layout.slots, stored_sums.apart(layout.slots, checksums))
    count = max(1, min(workers or processors(), len(tasks)))
    job.run(tasks, count)
    for source in {
        id(one.source): one.source for one in stored_sums.extents(layout.slots)
    }.values():
        source.check_unchanged()
    digests = {slot.piece.name: job.digests[slot.piece.name] for slot in layout.slots}
    found = {name: digest.crc32 for name, digest in digests.items()}
    stored_sums.compare(layout.slots, checksums, found, job.sums)
    return digests


class _Stopped(Exception):  # noqa: N818 (not an error: the way out of a cancelled task)
    """Another thread failed, or the caller was interrupted."""


class _Buffers:
    """A thread's memory: one chunk of the source and one of what was written."""

    def __init__(self) -> None:
        # Bytearrays are compared at the speed of memory, views of them element by element.
        self._source, self._written = bytearray(_BEFORE + _CHUNK), bytearray(_BEFORE + _CHUNK)
        self.source = memoryview(self._source)[_BEFORE:]
        self.written = memoryview(self._written)[_BEFORE:]

    def same(self, length: int) -> bool:
        """Whether the first ``length`` bytes of both are the same."""
        # Slices are copies, and what follows them is mostly still equal since the last comparison.
        if 2 * length > _CHUNK and self._source == self._written:
            return True
        return self.source[:length].tobytes() == self.written[:length].tobytes()


class _Job:
    """One copying of one file, shared by its threads."""

    def __init__(
        self, fd: int, summed: Set[str], on_bytes: Callable[[int], None], write_early: bool
    ) -> None:
        self.digests: dict[str, PieceDigest] = {}
        self.sums: dict[Extent, int] = {}
        self._fd = fd
        self._summed = summed
        self._on_bytes = on_bytes
        self._write_early = write_early and hasattr(os, "posix_fadvise")
        self._writer = Writer(fd)
        self._crc32s = Crc32Maker()
        self._stopped = Event()

    def run(self, tasks: Deque[Slot | Extent], workers: int) -> None:
        """Do all tasks; the first error, or an interruption, ends them after their chunk."""
        to_sum = sum(task.length for task in tasks if self._is_summed(task))
        pool = ThreadPoolExecutor(workers, thread_name_prefix="ckpttool-copying")
        try:
            futures = [pool.submit(self._work, tasks) for _ in range(workers)]
            with quick_switches():
                self._crc32s.load(to_sum)
            wait(futures, return_when=FIRST_EXCEPTION)
            self._stopped.set()
            wait(futures)
            errors = [error for error in (future.exception() for future in futures) if error]
            for error in sorted(errors, key=lambda error: isinstance(error, _Stopped)):
                raise error
        finally:
            self._stopped.set()
            pool.shutdown()

    def _is_summed(self, task: Slot | Extent) -> bool:
        return isinstance(task, Extent) or task.piece.name in self._summed

    def _work(self, tasks: Deque[Slot | Extent]) -> None:
        buffers = _Buffers()
        while True:
            try:
                task = tasks.popleft()
            except IndexError:
                return
            if isinstance(task, Slot):
                self._place(task, buffers)
            else:
                self.sums[task] = self._sum(task, buffers)

    def _place(self, slot: Slot, buffers: _Buffers) -> None:
        piece = slot.piece
        try:
            self.digests[piece.name] = (
                self._copy(slot, buffers) if piece.is_copy else self._convert(slot, buffers)
            )
        except CkpttoolError as error:
            error.tensor = error.tensor or piece.name
            raise
        if self._write_early and slot.length:
            # Nobody reads the pages again; asking for them back makes the disk start now.
            os.posix_fadvise(self._fd, slot.offset, slot.length, os.POSIX_FADV_DONTNEED)

    # --- as they are ---------------------------------------------------------------------

    def _copy(self, slot: Slot, buffers: _Buffers) -> PieceDigest:
        """Copy bytes that are written just as they lie in the source."""
        sha = hashlib.sha256()
        crc32 = self._crc32s.begin(slot.length) if self._is_summed(slot) else None
        place = slot.offset
        for part in _parts(slot):
            self._check_stopped()
            chunk = buffers.source[: part.length]
            part.source.read_into(part.offset, chunk)
            self._writer.put(chunk, place, part)
            self._prove(slot, buffers, part.length, place, part)
            sha.update(chunk)
            if crc32 is not None:
                crc32.update(chunk)
            self._on_bytes(part.length)
            place += part.length
        digest = sha.hexdigest()
        return PieceDigest(digest, crc32.value if crc32 else 0, digest)

    def _prove(
        self, slot: Slot, buffers: _Buffers, length: int, place: int, part: Extent | None
    ) -> None:
        """Read back ``length`` bytes from ``place`` and compare them with the buffer."""
        read_back(self._fd, buffers.written[:length], place)
        if not buffers.same(length):
            if part is not None:  # the system may have copied what was written there meanwhile
                part.source.check_unchanged()
            raise not_as_written(place, slot.piece.name)

    # --- made contiguous, little-endian, or cast ------------------------------------------

    def _convert(self, slot: Slot, buffers: _Buffers) -> PieceDigest:
        """Write bytes that must be gathered, swapped or cast first, in bounded chunks."""
        from ckpttool.formats.writing.casting import cast
        from ckpttool.tensors.gather import fill  # numpy, which nothing else here needs

        info, dtype = slot.piece.info, slot.piece.dtype
        sha, source_sha = hashlib.sha256(), hashlib.sha256()
        crc32 = self._crc32s.begin(slot.length) if self._is_summed(slot) else None
        overflow = underflow = 0
        # 16 is the widest element, so that every chunk has whole ones on both sides
        count = _CHUNK // 16
        raw = memoryview(bytearray(count * info.dtype.itemsize))
        for first in range(0, info.numel, count):
            self._check_stopped()
            elements = min(count, info.numel - first)
            data = raw[: elements * info.dtype.itemsize]
            fill(info, first * info.dtype.itemsize, data)
            length = elements * dtype.itemsize
            out = buffers.source[:length]
            if slot.piece.cast:
                source_sha.update(data)
                losses = cast(info.dtype, dtype, data, out)
                overflow += losses.overflow
                underflow += losses.underflow
            else:
                out[:] = data
            place = slot.offset + first * dtype.itemsize
            write_at(self._fd, out, place)
            self._prove(slot, buffers, length, place, None)
            sha.update(out)
            if crc32 is not None:
                crc32.update(out)
            self._on_bytes(length)
        digest = sha.hexdigest()
        source_digest = source_sha.hexdigest() if slot.piece.cast else digest
        found = crc32.value if crc32 else 0
        return PieceDigest(digest, found, source_digest, overflow, underflow)

    def _sum(self, extent: Extent, buffers: _Buffers) -> int:
        """Return the CRC-32 of an extent that no tensor covers exactly."""
        crc32 = self._crc32s.begin(extent.length)
        for start in range(0, extent.length, _CHUNK):
            self._check_stopped()
            chunk = buffers.source[: min(_CHUNK, extent.length - start)]
            extent.source.read_into(extent.offset + start, chunk)
            crc32.update(chunk)
        return crc32.value

    def _check_stopped(self) -> None:
        if self._stopped.is_set():
            raise _Stopped


def _nothing(nbytes: int) -> None:
    """Tell nobody about the progress."""


def _parts(slot: Slot) -> Iterator[Extent]:
    """Cut a slot's bytes into pieces, after holding their number to what there must be."""
    extents = slot.piece.info.extents
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


def _largest_first(slots: Sequence[Slot], others: Sequence[Extent]) -> Deque[Slot | Extent]:
    """Return all that is to be read; small ones then fill what time is left on each thread."""
    tasks: list[Slot | Extent] = [*slots, *others]
    return deque(sorted(tasks, key=lambda task: -task.length))


def _require_apart(slots: Sequence[Slot]) -> None:
    """A slot that is written twice would pass every proof but its own last one."""
    end = 0
    for offset, length, piece in sorted(slots, key=lambda slot: (slot.offset, slot.length)):
        if offset < end or length != piece.nbytes:
            raise ValueError(f"the slot of {piece.name!r} is not its own")
        end = offset + length
