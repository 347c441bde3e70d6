"""Compares the CRC-32 checksums that a source stores with the bytes that are copied."""

from __future__ import annotations

from bisect import bisect_left
from typing import Iterable, Iterator, Mapping, Sequence

from ckpttool.files.crc import crc32_of
from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.unfilled import is_unfilled
from ckpttool.formats.writing.file_layout import Slot
from ckpttool.tensors.assembled import extents_below
from ckpttool.tensors.catalogue import Checksum, Extent

_CHUNK = 4 << 20


def apart(slots: Sequence[Slot], checksums: Sequence[Checksum]) -> list[Extent]:
    """Return the extents that need a reading of their own: in use, but read in order by no slot."""
    # A strided or swapped tensor, or a part of a storage, does not yield the stored bytes in order.
    read = {slot.piece.info.whole for slot in slots}
    places = sorted((id(one.source), one.offset) for one in extents(slots))
    return [
        checksum.extent
        for checksum in checksums
        if checksum.extent not in read and is_touched(checksum.extent, places)
    ]


def on_the_way(slots: Sequence[Slot], checksums: Sequence[Checksum]) -> set[str]:
    """Return the names of the pieces whose bytes, as they are read, have a stored checksum."""
    stored = {checksum.extent for checksum in checksums}
    return {slot.piece.name for slot in slots if slot.piece.info.whole in stored}


def compare(
    slots: Sequence[Slot],
    checksums: Sequence[Checksum],
    read: Mapping[str, int],
    summed: Mapping[Extent, int],
) -> frozenset[Checksum]:
    """Raise MalformedError for the first checksum that does not match; return those that were made.

    Args:
        slots: what was copied.
        checksums: as stored.
        read: CRC-32 of what was read, by name of the piece, of those from :func:`on_the_way`.
        summed: CRC-32 of the extents from :func:`apart`.
    """
    found = dict(summed)
    for slot in slots:
        extent = slot.piece.info.whole
        if extent is not None:
            found[extent] = read[slot.piece.name]
    # Bytes of excluded tensors were not read and cannot be judged.
    compared = [checksum for checksum in checksums if checksum.extent in found]
    wrong = [extent for _, extent, crc32 in compared if found[extent] != crc32]
    inside: dict[Extent, list[str]] = {}
    if wrong:
        from ckpttool.tensors.places import tensors_in  # late: numpy, for errors only

        inside = tensors_in({slot.piece.name: slot.piece.info for slot in slots}, wrong)
    for member, extent, crc32 in compared:
        # Told first, since the remedy differs: fetching the file again gives the same zeros.
        if is_unfilled(crc32, found[extent], extent.length):
            raise MalformedError(
                "the record was never filled: zeros under a stored checksum of 0",
                rules.NEVER_FILLED,
                path=extent.source.name,
                member=member,
                tensor=next(iter(inside.get(extent, ())), None),
            )
        if found[extent] != crc32:
            raise MalformedError(
                "the bytes do not match their checksum",
                rules.CHECKSUM,
                path=extent.source.name,
                member=member,
                tensor=next(iter(inside.get(extent, ())), None),
                expected=f"{crc32:08x}",
                found=f"{found[extent]:08x}",
            )
    return frozenset(compared)


def extents(slots: Iterable[Slot]) -> Iterator[Extent]:
    """Iterate over all extents of files that fill the slots."""
    held = (extent for slot in slots for extent in slot.piece.info.extents if extent.length)
    return (one for extent in held for one in extents_below(extent))


def is_touched(extent: Extent, places: Sequence[tuple[int, int]]) -> bool:
    """Whether any of the sorted (source, offset) lies in the extent."""
    source, begin = id(extent.source), extent.offset
    # Bisection, because a file may have a million storages and as many tensors.
    place = bisect_left(places, (source, begin))
    return place < len(places) and places[place] < (source, begin + extent.length)


def sum_of(extent: Extent) -> int:
    """Return the CRC-32 of the bytes of an extent, read in pieces."""
    crc32 = 0
    buffer = memoryview(bytearray(min(_CHUNK, extent.length)))
    for start in range(0, extent.length, _CHUNK):
        chunk = buffer[: min(_CHUNK, extent.length - start)]
        extent.source.read_into(extent.offset + start, chunk)
        crc32 = crc32_of(chunk, crc32)
    return crc32
