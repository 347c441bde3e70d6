"""Copying tensors to their places, and proving each by reading back what was written.

Threads copy several runs of tensors at a time, in blocks that fit into the caches: a block is read,
written, read back and compared, and those sums are made of it that somebody needs. Memory does not
grow with the tensors. Row-major tensors need neither torch nor numpy.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Callable, Collection, Iterator, NamedTuple, Sequence, TypeVar

from ckpttool.files.crc import crc32_of
from ckpttool.files.positional import not_as_written, read_back, write_at
from ckpttool.files.sources import check_all_unchanged, read_together
from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError
from ckpttool.formats.writing import stored_sums
from ckpttool.formats.writing.file_layout import FileLayout, Slot
from ckpttool.tensors.catalogue import Checksum, Extent
from ckpttool.tensors.workers import Work, Worker

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.files.sources import Reading
    from ckpttool.formats.writing.file_layout import PlannedTensor

# Bytes that are worked on at once; the source's and what was written fit into a core's cache.
# Blocks end where the destination's offset is a multiple of it: whole pages take a third less time
# to write than halves of two.
_CHUNK = 512 << 10
# Bytes of the widest element, by which a block may reach beyond its end.
_WIDEST = 16
# glibc keeps 16 bytes before memory of this size; the system copies faster to and from a
# multiple of 32, by an eighth.
_BEFORE = 48
# Bytes of a task, but for a larger tensor: small ones are not handed to threads one by one, which
# would mostly wait for the interpreter's lock.
_RUN = 4 << 20
# A gap between two tensors of a block: the header of a zip's member. It holds zeros until the bytes
# around the tensors are written.
_GAP = 4 << 10

_Item = TypeVar("_Item", Slot, Extent)


class PieceDigest(NamedTuple):
    """What was read and written of one tensor, both proven the same.

    Attributes:
        sha256: of the row-major little-endian elements as written, in hexadecimal; empty where
            none was asked for.
        crc32: of the same bytes, where the layout needs it; else 0.
        source_sha256: of the elements as they are in the source; another one after a cast.
        source_crc32: of the bytes as they lie in the source, where a stored sum is over just
            these; else 0.
        overflow, underflow: finite elements that a cast made infinite, and those it made zero.
    """

    sha256: str = ""
    crc32: int = 0
    source_sha256: str = ""
    source_crc32: int = 0
    overflow: int = 0
    underflow: int = 0


class Copies(NamedTuple):
    """Digests by name, in the order of the slots, and the stored sums that were compared."""

    digests: dict[str, PieceDigest]
    checked: frozenset[Checksum]


def copy_layout(
    layout: FileLayout,
    fd: int,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
    on_bytes: Callable[[int], None] | None = None,
    checksums: Sequence[Checksum] = (),
    hashes: bool = False,
    write_early: bool = False,
) -> Copies:
    """Put every tensor into its slot and prove it.

    Args:
        layout: the slots. The bytes around them are not written here, zeros at most.
        fd: the destination, open for reading and writing.
        workers: threads; ``None`` for one per processor, at most 16.
        executor: runs them; see :class:`ckpttool.tensors.workers.Work`.
        on_bytes: called with how many more bytes were proven, from any of the threads.
        checksums: the source's stored checksums; those over bytes that are read are compared.
        hashes: make SHA-256 sums, which take longer than all the rest.
        write_early: let the disk start on each run of tensors at once, for a file that is synced.

    Raises:
        MalformedError: the bytes of the source do not match their stored sum.
        UnreadableError: the source cannot be read, or changed meanwhile.
        UnsupportedError: a cast that is not supported.
        OutputError: the destination cannot be written, or does not hold what was written.
        UsageError: fewer than one worker, or an executor of other processes.
        ValueError: slots that overlap.
    """
    slots = sorted(layout.slots, key=lambda slot: (slot.offset, slot.length))
    _require_apart(slots)
    stored = stored_sums.on_the_way(slots, checksums)
    copying = _Copying(fd, bool(layout.members), stored, hashes, write_early)
    digests: dict[str, PieceDigest] = {}
    sums: dict[Extent, int] = {}
    tasks: list[tuple[int, Callable[[Worker[_Buffers]], None]]] = [
        (sum(slot.length for slot in run), partial(copying.place, run, digests))
        for run in _runs(slots)
    ]
    for extents in _runs(stored_sums.apart(slots, checksums)):
        tasks.append((sum(one.length for one in extents), partial(_sum, extents, sums)))
    # The largest first: a large one that begins last would leave the other threads idle.
    tasks.sort(key=lambda task: -task[0])
    Work(
        lambda task, worker: task[1](worker),
        tasks,
        _Buffers,
        workers=workers,
        executor=executor,
        progress=on_bytes,
    ).results()
    check_all_unchanged(extent.source for extent in stored_sums.extents(slots))
    found = {name: digest.source_crc32 for name, digest in digests.items()}
    checked = stored_sums.compare(slots, checksums, found, sums)
    return Copies({slot.piece.name: digests[slot.piece.name] for slot in layout.slots}, checked)


class _Buffers:
    """A thread's memory: one block of the source and one of what was written."""

    def __init__(self) -> None:
        # A bytearray is compared by memcmp, memoryviews are element by element.
        size = _BEFORE + _CHUNK + _WIDEST
        self._source, self._written = bytearray(size), bytearray(size)
        self._raw = bytearray()
        self.source = memoryview(self._source)[_BEFORE:]
        self.written = memoryview(self._written)[_BEFORE:]

    def raw(self, nbytes: int) -> memoryview:
        """Return memory for elements that are to be cast."""
        if len(self._raw) < nbytes:
            self._raw = bytearray(nbytes)
        return memoryview(self._raw)[:nbytes]

    def same(self, length: int) -> bool:
        """Whether the first ``length`` bytes of both are the same."""
        # A slice would be a copy. The bytes behind ``length`` are mostly equal since the comparison
        # before, so comparing whole buffers is tried first.
        if 2 * length > _CHUNK and self._source == self._written:
            return True
        return self._source[_BEFORE : _BEFORE + length] == self.written[:length]


class _Part(NamedTuple):
    """Bytes of a tensor, as written: ``length`` of them from ``start``, put at ``place``."""

    tensor: _Tensor
    start: int
    length: int
    place: int


class _Tensor:
    """A tensor on its way, and what was summed and counted of it so far."""

    def __init__(self, slot: Slot, *, crc: bool, source_crc: bool, hashes: bool) -> None:
        self.slot = slot
        self.piece: PlannedTensor = slot.piece
        self.is_copy = slot.piece.is_copy
        # What is copied has one sum for both sides.
        self._needs = crc or (source_crc and self.is_copy), source_crc and not self.is_copy
        self._crc32 = self._source_crc32 = self.overflow = self.underflow = 0
        self._sha = self._source_sha = None
        if hashes:
            import hashlib

            self._sha = hashlib.sha256()
            self._source_sha = hashlib.sha256() if slot.piece.cast else None

    def add(self, written: memoryview) -> None:
        """Sum the next bytes, as written."""
        if self._needs[0]:
            self._crc32 = crc32_of(written, self._crc32)
        if self._sha is not None:
            self._sha.update(written)

    def add_source(self, data: memoryview) -> None:
        """Sum the next bytes of the source, where those that are written are others."""
        if self._needs[1]:
            self._source_crc32 = crc32_of(data, self._source_crc32)
        if self._source_sha is not None:
            self._source_sha.update(data)

    def digest(self) -> PieceDigest:
        sha256 = self._sha.hexdigest() if self._sha is not None else ""
        return PieceDigest(
            sha256,
            self._crc32,
            sha256 if self._source_sha is None else self._source_sha.hexdigest(),
            self._crc32 if self.is_copy else self._source_crc32,
            self.overflow,
            self.underflow,
        )


class _Copying:
    """One copying of one file, shared by its threads."""

    def __init__(
        self, fd: int, crcs: bool, stored: Collection[str], hashes: bool, write_early: bool
    ) -> None:
        self._fd = fd
        self._crcs = crcs
        self._stored = stored
        self._hashes = hashes
        self._write_early = write_early and hasattr(os, "posix_fadvise")

    def place(
        self, run: Sequence[Slot], digests: dict[str, PieceDigest], worker: Worker[_Buffers]
    ) -> None:
        """Put tensors that follow each other into their slots, and prove them."""
        tensors = [
            _Tensor(
                slot,
                crc=self._crcs,
                source_crc=slot.piece.name in self._stored,
                hashes=self._hashes,
            )
            for slot in run
        ]
        for block in _blocks(tensors):
            worker.check()
            self._put(block, worker)
        digests.update((one.piece.name, one.digest()) for one in tensors)
        begin, end = run[0].offset, run[-1].offset + run[-1].length
        if self._write_early and begin < end:
            # The pages are not needed any more; dropping them makes the kernel write them now,
            # instead of all at once in the final fsync.
            with suppress(OSError):  # some file systems take no advice
                os.posix_fadvise(self._fd, begin, end - begin, os.POSIX_FADV_DONTNEED)

    def _put(self, block: Sequence[_Part], worker: Worker[_Buffers]) -> None:
        """Read a block, write it, and compare what is read back."""
        memory, begin = worker.memory, block[0].place
        length = block[-1].place + block[-1].length - begin
        _load(block, memory)
        try:
            write_at(self._fd, memory.source[:length], begin)
            read_back(self._fd, memory.written[:length], begin)
        except CkpttoolError as error:
            error.tensor = _at(block, error.offset)
            raise
        if not memory.same(length):
            pairs = zip(memory.source[:length], memory.written[:length])
            place = begin + next(at for at, (one, other) in enumerate(pairs) if one != other)
            raise not_as_written(place, _at(block, place))
        for part in block:
            at = part.place - begin
            part.tensor.add(memory.source[at : at + part.length])
        worker.advance(sum(part.length for part in block))


def _at(block: Sequence[_Part], place: int | None) -> str:
    """Return the name of the tensor at an offset of the destination."""
    before = [part for part in block if place is None or part.place <= place]
    return (before or block)[-1].tensor.piece.name


# --- what a block holds ------------------------------------------------------------------


def _load(block: Sequence[_Part], memory: _Buffers) -> None:
    """Put the bytes that are to be written into the source's buffer."""
    begin = end = block[0].place
    readings: list[Reading] = []
    for part in block:
        if part.place > end:
            memory.source[end - begin : part.place - begin] = bytes(part.place - end)
        end = part.place + part.length
        out = memory.source[part.place - begin : end - begin]
        if part.tensor.is_copy:
            readings += _readings(part, out)
            continue
        try:
            _convert(part, out, memory)
        except CkpttoolError as error:
            error.tensor = error.tensor or part.tensor.piece.name
            raise
    try:
        # What was written before has been compared, so its buffer is free.
        read_together(readings, memory.written)
    except CkpttoolError as error:
        error.tensor = block[0].tensor.piece.name
        raise


def _readings(part: _Part, out: memoryview) -> Iterator[Reading]:
    """Yield where the bytes of a part that is copied as it is lie in the source."""
    start = part.start
    for source, offset, length in part.tensor.piece.info.extents:
        if start < length and len(out):
            taken = min(length - start, len(out))
            yield source, offset + start, out[:taken]
            out = out[taken:]
        start = max(0, start - length)


def _convert(part: _Part, out: memoryview, memory: _Buffers) -> None:
    """Gather, swap or cast elements into ``out``."""
    from ckpttool.tensors.gather import fill  # numpy, which nothing else here needs

    tensor, piece = part.tensor, part.tensor.piece
    info = piece.info
    if not piece.cast:
        fill(info, part.start, out)
        return
    from ckpttool.formats.writing.casting import cast

    first, elements = part.start // piece.dtype.itemsize, len(out) // piece.dtype.itemsize
    data = memory.raw(elements * info.dtype.itemsize)
    fill(info, first * info.dtype.itemsize, data)
    tensor.add_source(data)
    losses = cast(info.dtype, piece.dtype, data, out)
    tensor.overflow += losses.overflow
    tensor.underflow += losses.underflow


def _blocks(tensors: Sequence[_Tensor]) -> Iterator[list[_Part]]:
    """Cut tensors into blocks, which end at multiples of the chunk in the destination."""
    block: list[_Part] = []
    end = 0
    for tensor in tensors:
        _require_length(tensor.piece)
        start, place = 0, tensor.slot.offset
        while start < tensor.slot.length:
            if block and (place - end > _GAP or place // _CHUNK != block[0].place // _CHUNK):
                yield block
                block = []
            length = _CHUNK - place % _CHUNK
            if not tensor.is_copy:  # elements stay whole
                length += -length % tensor.piece.dtype.itemsize
            length = min(length, tensor.slot.length - start)
            block.append(_Part(tensor, start, length, place))
            start += length
            place = end = place + length
    if block:
        yield block


def _require_length(piece: PlannedTensor) -> None:
    """Refuse a row-major tensor of more or fewer bytes than its elements have."""
    # Fewer bytes would leave a gap of zeros, and more would overwrite the next tensor.
    found = sum(extent.length for extent in piece.info.extents)
    if piece.info.strides is None and found != piece.info.nbytes:
        raise MalformedError(
            "the tensor has more or fewer bytes than it needs",
            rules.GEOMETRY,
            tensor=piece.name,
            expected=f"{piece.info.nbytes:,}",
            found=f"{found:,}",
        )


def _runs(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """Cut a sequence into runs of :data:`_RUN` bytes, or of more where an item is longer."""
    run: list[_Item] = []
    length = 0
    for item in items:
        run.append(item)
        length += item.length
        if length >= _RUN:
            yield run
            run, length = [], 0
    if run:
        yield run


def _sum(extents: Sequence[Extent], sums: dict[Extent, int], worker: Worker[_Buffers]) -> None:
    """Make the CRC-32 of extents that no tensor yields in order."""
    for extent in extents:
        crc32 = 0
        for start in range(0, extent.length, _CHUNK):
            worker.check()
            chunk = worker.memory.source[: min(_CHUNK, extent.length - start)]
            extent.source.read_into(extent.offset + start, chunk)
            crc32 = crc32_of(chunk, crc32)
        sums[extent] = crc32


def _require_apart(slots: Sequence[Slot]) -> None:
    """Refuse slots that overlap; a byte written twice would pass the first of its proofs."""
    end = 0
    for offset, length, piece in slots:
        if offset < end or length != piece.nbytes:
            raise ValueError(f"the slot of {piece.name!r} is not its own")
        end = offset + length
