"""Decides what to read: every distinct view once, up to a cap.

Names of exactly the same view share one reading. Views that overlap only in part are each read on
their own; a hostile file can have any number of those, hence the cap.
"""

from __future__ import annotations

from typing import Any, Collection, Mapping, NamedTuple, Sequence

from ckpttool.tensors.catalogue import Checksum, TensorInfo
from ckpttool.tensors.memory import aligned, allocate
from ckpttool.tensors.sharing import AMPLIFIED, amplified

# Bytes of small tensors that make up one task: enough to hide the cost of starting a task.
_GROUP = 8 << 20

#: No tensor has a twin.
NO_TWINS: Mapping[object, TensorInfo] = {}


class Reading(NamedTuple):
    """One view to read.

    Attributes:
        info: the view, under the first of its names.
        names: every name of the view.
        target: where its bytes are kept; ``None`` if they are dropped once read.
        checksum: index of the stored checksum over exactly its bytes, or ``None``.
        twin: a tensor of another file that its bytes are compared with, or ``None``.
    """

    info: TensorInfo
    names: tuple[str, ...]
    target: memoryview | None
    checksum: int | None
    twin: TensorInfo | None = None


class ReadPlan(NamedTuple):
    """Everything to read.

    Attributes:
        readings: the distinct views, in the order of the tensors.
        checksums: indices of the stored checksums that no reading covers.
        skipped: name to reason, for tensors that are not read.
    """

    readings: tuple[Reading, ...]
    checksums: tuple[int, ...]
    skipped: dict[str, str]


def plan(
    tensors: Mapping[str, TensorInfo],
    checksums: Sequence[Checksum],
    keep: Collection[str],
    twins: Mapping[object, TensorInfo] = NO_TWINS,
) -> ReadPlan:
    """Decide what to read, and allocate one arena for what is to be kept.

    Raises:
        UnreadableError: there is not enough memory for the tensors to keep.
    """
    views: dict[Any, list[str]] = {}
    for name, info in tensors.items():
        views.setdefault(info.view, []).append(name)
    distinct = [tensors[names[0]] for names in views.values()]
    refused = amplified(distinct)
    kept = frozenset(keep)
    to_keep = [
        index not in refused and not kept.isdisjoint(names)
        for index, names in enumerate(views.values())
    ]
    targets = _targets(distinct, to_keep)
    # Each stored checksum is computed once, by the first view that reads exactly its bytes.
    unclaimed = {checksum.extent: index for index, checksum in enumerate(checksums)}
    readings: list[Reading] = []
    skipped: dict[str, str] = {}
    for index, names in enumerate(views.values()):
        info = tensors[names[0]]
        if index in refused:
            skipped.update((name, AMPLIFIED) for name in names)
            continue
        claimed = unclaimed.pop(info.whole, None) if info.whole else None
        twin = twins.get(info.view) if twins else None
        readings.append(Reading(info, tuple(names), targets[index], claimed, twin))
    covered = {reading.checksum for reading in readings}
    alone = tuple(index for index in range(len(checksums)) if index not in covered)
    return ReadPlan(tuple(readings), alone, skipped)


def _targets(views: Sequence[TensorInfo], to_keep: Sequence[bool]) -> list[memoryview | None]:
    """Return a part of one new arena for each view to keep, ``None`` for the others."""
    # One arena, because only large pieces of memory come in huge pages.
    arena = allocate(sum(aligned(info.nbytes) for info, kept in zip(views, to_keep) if kept))
    targets: list[memoryview | None] = []
    offset = 0
    for info, kept in zip(views, to_keep):
        targets.append(arena[offset : offset + info.nbytes] if kept else None)
        offset += aligned(info.nbytes) if kept else 0
    return targets


def group(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    """Return indices by task, given their bytes: big ones alone, small ones together, in order."""
    tasks: list[tuple[int, ...]] = []
    together: list[int] = []
    size = 0
    for index, nbytes in enumerate(sizes):
        if nbytes * 2 > _GROUP:  # so that no group is larger than 1.5 times the limit
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
