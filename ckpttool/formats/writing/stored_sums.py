"""The CRC-32 sums that a source carries, compared on the way with the bytes that are copied."""

from __future__ import annotations

from bisect import bisect_left
from typing import Iterable, Iterator, Mapping, Sequence

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.formats.unfilled import is_unfilled
from ckpttool.formats.writing.file_layout import PlannedTensor, Slot
from ckpttool.tensors.catalogue import Checksum, Extent


def apart(slots: Sequence[Slot], checksums: Sequence[Checksum]) -> list[Extent]:
    """Return what must be summed apart: bytes that tensors lie in and that none is a copy of."""
    copied = {_copied_extent(slot.piece) for slot in slots}
    places = sorted((id(one.source), one.offset) for one in extents(slots))
    return [
        checksum.extent
        for checksum in checksums
        if checksum.extent not in copied and _is_touched(checksum.extent, places)
    ]


def on_the_way(slots: Sequence[Slot], checksums: Sequence[Checksum]) -> set[str]:
    """Return the names of the pieces that are copies of bytes with a stored sum."""
    stored = {checksum.extent for checksum in checksums}
    return {slot.piece.name for slot in slots if _copied_extent(slot.piece) in stored}


def compare(
    slots: Sequence[Slot],
    checksums: Sequence[Checksum],
    copied: Mapping[str, int],
    summed: Mapping[Extent, int],
) -> None:
    """Raise MalformedError for the first sum that the bytes do not have.

    Args:
        slots: what was copied.
        checksums: as stored; those of bytes that nobody read are passed over.
        copied: CRC-32 by name of the piece.
        summed: CRC-32 of the extents that :func:`apart` asked for.
    """
    found = dict(summed)
    for slot in slots:
        extent = _copied_extent(slot.piece)
        if extent is not None:
            found[extent] = copied[slot.piece.name]
    for member, extent, crc32 in checksums:
        if is_unfilled(crc32, found.get(extent, crc32), extent.length):
            raise MalformedError(
                "the record was never filled: zeros under a stored checksum of 0",
                rules.NEVER_FILLED,
                path=extent.source.name,
                member=member,
            )
        if found.get(extent, crc32) != crc32:
            raise MalformedError(
                "the bytes do not match their checksum",
                rules.CHECKSUM,
                path=extent.source.name,
                member=member,
                expected=f"{crc32:08x}",
                found=f"{found[extent]:08x}",
            )


def extents(slots: Iterable[Slot]) -> Iterator[Extent]:
    """Iterate over all bytes that the slots are filled from."""
    return (extent for slot in slots for extent in slot.piece.info.extents if extent.length)


def _copied_extent(piece: PlannedTensor) -> Extent | None:
    """Return the extent that the piece is a plain copy of, if it is one."""
    extents = piece.info.extents
    return extents[0] if piece.is_copy and len(extents) == 1 else None


def _is_touched(extent: Extent, places: Sequence[tuple[int, int]]) -> bool:
    """Whether any of the sorted (source, offset) lies in the extent."""
    source, begin = id(extent.source), extent.offset
    place = bisect_left(places, (source, begin))
    return place < len(places) and places[place] < (source, begin + extent.length)
