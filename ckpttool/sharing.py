"""Tensors that share bytes: exact duplicates, views that overlap in part, and recorded ties.

A file of torch keeps such names as views of one storage. Where a format has no views, exact
duplicates can be stored once and recorded in the metadata; everything else is written out in full.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, NamedTuple

from ckpttool.tensors import TensorInfo


class Sharing(NamedTuple):
    """Who shares bytes with whom.

    Attributes:
        tied: name to the name that it is the same as in every byte: of those, the first in
            alphabetical order. Exact duplicates cover the same bytes, so all are as complete.
        overlapping: groups of names that share bytes without being the same, in order.
        covered: bytes of the files that any of the tensors lie in.
    """

    tied: dict[str, str]
    overlapping: tuple[tuple[str, ...], ...]
    covered: int


def find_sharing(tensors: Mapping[str, TensorInfo]) -> Sharing:
    """Find out which tensors share bytes; empty ones share nothing."""
    views: dict[Any, list[str]] = {}
    for name, info in tensors.items():
        if info.nbytes:
            views.setdefault(info.view, []).append(name)
    tied = {name: min(names) for names in views.values() for name in names if name != min(names)}
    covered = 0
    overlapping = []
    for names, nbytes in _regions(tensors, [min(names) for names in views.values()]):
        covered += nbytes
        if len(names) > 1:
            overlapping.append(names)
    order = {name: place for place, name in enumerate(tensors)}
    return Sharing(tied, tuple(sorted(overlapping, key=lambda names: order[names[0]])), covered)


def tied_names(tensors: Mapping[str, TensorInfo], metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the names that ``__metadata__`` records as dropped, to the ones that were kept."""
    return {
        dropped: kept
        for dropped, kept in metadata.items()
        if kept in tensors and dropped not in tensors
    }


def _regions(
    tensors: Mapping[str, TensorInfo], names: list[str]
) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield every run of bytes that overlapping extents make up: the names in it, its length."""
    extents = sorted(
        (id(extent.source), extent.offset, extent.length, place)
        for place, name in enumerate(names)
        for extent in tensors[name].extents
    )
    members: list[int] = []
    source = begin = end = -1
    for where, offset, length, place in extents:
        if members and (where != source or offset >= end):
            yield tuple(names[member] for member in sorted(set(members))), end - begin
            members = []
        if not members:
            source, begin, end = where, offset, offset
        members.append(place)
        end = max(end, offset + length)
    if members:
        yield tuple(names[member] for member in sorted(set(members))), end - begin
