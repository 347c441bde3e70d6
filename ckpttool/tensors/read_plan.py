"""What is to be read, decided before any byte is: every distinct view once, and not too many.

Names that stand for exactly the same view share one reading. Views that overlap without being
the same are read each on its own; a hostile file can make those endless, so there is a cap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Collection, Mapping, NamedTuple, Sequence

from ckpttool.tensors.catalogue import Checksum, Extent, TensorInfo
from ckpttool.tensors.memory import aligned, allocate

if TYPE_CHECKING:
    from ckpttool.files.sources import ByteSource

#: All distinct views together may hold this many times the bytes of the file they cover ...
AMPLIFICATION_FACTOR = 4
#: ... and this many bytes more: small stride-0 views are common and harmless.
AMPLIFICATION_SLACK = 64 << 20

#: Why a view was not read; the check on amplification knows it by this.
AMPLIFIED = "its views expand to far more bytes than the file has for them"

# Bytes of small tensors that make up one task: enough to hide what a task costs.
_GROUP = 8 << 20


class Reading(NamedTuple):
    """One view to read.

    Attributes:
        info: the view, under the first of its names.
        names: every name it goes by.
        target: where its bytes are to stay; ``None`` to forget them.
        checksum: index of the stored checksum over exactly its bytes, or ``None``.
    """

    info: TensorInfo
    names: tuple[str, ...]
    target: memoryview | None
    checksum: int | None


class ReadPlan(NamedTuple):
    """All that is to be read.

    Attributes:
        readings: the distinct views, in the order of the tensors.
        checksums: indices of the stored checksums that no reading covers.
        skipped: name to reason, for what is not to be read.
    """

    readings: tuple[Reading, ...]
    checksums: tuple[int, ...]
    skipped: dict[str, str]


def plan(
    tensors: Mapping[str, TensorInfo], checksums: Sequence[Checksum], keep: Collection[str]
) -> ReadPlan:
    """Decide what to read, and allocate one arena for what is to be kept.

    Raises:
        UnreadableError: there is not enough memory for the tensors to keep.
    """
    views: dict[Any, list[str]] = {}
    for name, info in tensors.items():
        views.setdefault(info.view, []).append(name)
    distinct = [tensors[names[0]] for names in views.values()]
    refused = _amplified(distinct)
    kept = frozenset(keep)
    to_keep = [
        index not in refused and not kept.isdisjoint(names)
        for index, names in enumerate(views.values())
    ]
    targets = _targets(distinct, to_keep)
    unclaimed = {checksum.extent: index for index, checksum in enumerate(checksums)}
    readings: list[Reading] = []
    skipped: dict[str, str] = {}
    for index, names in enumerate(views.values()):
        info = tensors[names[0]]
        if index in refused:
            skipped.update((name, AMPLIFIED) for name in names)
            continue
        claimed = unclaimed.pop(info.extents[0], None) if _is_whole(info) else None
        readings.append(Reading(info, tuple(names), targets[index], claimed))
    covered = {reading.checksum for reading in readings}
    alone = tuple(index for index in range(len(checksums)) if index not in covered)
    return ReadPlan(tuple(readings), alone, skipped)


def _is_whole(info: TensorInfo) -> bool:
    """Whether reading the tensor passes over the bytes of its only extent, as they lie."""
    return len(info.extents) == 1 and info.strides is None and not info.big_endian


def _targets(views: Sequence[TensorInfo], to_keep: Sequence[bool]) -> list[memoryview | None]:
    """Return the part of one fresh arena for each view to keep, ``None`` for the others."""
    arena = allocate(sum(aligned(info.nbytes) for info, kept in zip(views, to_keep) if kept))
    targets: list[memoryview | None] = []
    offset = 0
    for info, kept in zip(views, to_keep):
        targets.append(arena[offset : offset + info.nbytes] if kept else None)
        offset += aligned(info.nbytes) if kept else 0
    return targets


# --- the cap on amplification ----------------------------------------------------------


def _amplified(views: Sequence[TensorInfo]) -> frozenset[int]:
    """Return the indices of the views that must not be read, none within the cap.

    Beyond the cap they are those of every region that expands more than the factor allows,
    so what remains holds at most the factor times the bytes it covers.
    """
    if sum(info.nbytes for info in views) <= AMPLIFICATION_SLACK:
        return frozenset()
    region_of = _regions([extent for info in views for extent in info.extents])
    logical = dict.fromkeys(region_of.values(), 0)
    for info in views:
        for extent, nbytes in _shares(info):
            logical[region_of[extent]] += nbytes
    covered = sum(region.length for region in logical)
    if sum(logical.values()) <= AMPLIFICATION_FACTOR * covered + AMPLIFICATION_SLACK:
        return frozenset()
    too_much = {
        region
        for region, nbytes in logical.items()
        if nbytes > AMPLIFICATION_FACTOR * region.length
    }
    return frozenset(
        index
        for index, info in enumerate(views)
        if any(region_of[extent] in too_much for extent in info.extents)
    )


def _shares(info: TensorInfo) -> list[tuple[Extent, int]]:
    """Return how many bytes of the contiguous form come from each extent."""
    if info.strides is None:
        return [(extent, extent.length) for extent in info.extents]
    return [(info.extents[0], info.nbytes)] if info.extents else []


def _regions(extents: Sequence[Extent]) -> dict[Extent, Extent]:
    """Return, for every extent, the run of bytes that it and those overlapping it make up."""
    ordered = sorted(set(extents), key=lambda extent: (id(extent.source), extent[1:]))
    region_of: dict[Extent, Extent] = {}
    members: list[Extent] = []
    end = 0
    for extent in ordered:
        if members and (extent.source is not members[0].source or extent.offset >= end):
            _close_region(members, end, region_of)
            members = []
        end = max(end, extent.offset + extent.length) if members else sum(extent[1:])
        members.append(extent)
    if members:
        _close_region(members, end, region_of)
    return region_of


def _close_region(members: Sequence[Extent], end: int, region_of: dict[Extent, Extent]) -> None:
    source: ByteSource = members[0].source
    region = Extent(source, members[0].offset, end - members[0].offset)
    for extent in members:
        region_of[extent] = region


def group(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Return indices by task, given their bytes: big ones alone, small ones together, in order."""
    tasks: list[tuple[int, ...]] = []
    together: list[int] = []
    size = 0
    for index, nbytes in enumerate(sizes):
        if nbytes * 2 > _GROUP:
            tasks.append((index,))
            continue
        together.append(index)
        size += nbytes
        if size >= _GROUP:
            tasks.append(tuple(together))
            together, size = [], 0
    if together:
        tasks.append(tuple(together))
    return tasks
