"""Tensors that share bytes: exact duplicates, views that overlap in part, and recorded ties.

A torch file keeps such names as views of one storage. In a format without views, exact duplicates
are stored once and recorded in the metadata; partial overlaps are written out in full, up to a
cap, because a hostile file can have any number of views of a few bytes.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any, Collection, Iterable, Mapping, NamedTuple, Sequence, TypeVar

from ckpttool.findings import rules
from ckpttool.findings.errors import MalformedError
from ckpttool.findings.text import count, size
from ckpttool.tensors.catalogue import Extent, TensorInfo

#: Keys of ``__metadata__`` that are this program's own, so no names of tied tensors: what the
#: tensors are, what they are called, what they lay under, and where the tied ones stood.
FORMAT, FINGERPRINT = "format", "ckpttool.fingerprint"
WRAPPER, ORDER = "ckpttool.wrapper", "ckpttool.order"
OWN_KEYS = (FORMAT, FINGERPRINT, WRAPPER, ORDER)

#: All distinct views together may hold this many times the bytes of the file they cover ...
AMPLIFICATION_FACTOR = 4
#: ... and this many bytes more: small stride-0 views are common and harmless.
AMPLIFICATION_SLACK = 64 << 20
#: Why a view was not read; the check on amplification knows it by this.
AMPLIFIED = "its views expand to far more bytes than the file has for them"

# Digits of a place in ORDER: more than there can be tensors.
_DIGITS = 10

_Value = TypeVar("_Value")


class Sharing(NamedTuple):
    """Which tensors share bytes.

    Attributes:
        groups: names of the same view, two or more each, in the order of the file.
        overlapping: groups of names whose views share bytes but differ, in the order of the file;
            of names of the same view only the first.
        covered: bytes of the files that the tensors lie in, each counted once.
    """

    groups: tuple[tuple[str, ...], ...]
    overlapping: tuple[tuple[str, ...], ...]
    covered: int


def find_sharing(tensors: Mapping[str, TensorInfo]) -> Sharing:
    """Find out which tensors share bytes."""
    views = _views(tensors)
    lying = [(names[0], extent) for names in views.values() for extent in tensors[names[0]].extents]
    region_of = regions(extent for _, extent in lying)
    members: dict[Extent, list[str]] = {}
    for name, extent in lying:
        members.setdefault(region_of[extent], []).append(name)
    # Once each: a tensor may have several extents in a region.
    distinct = (tuple(dict.fromkeys(names)) for names in members.values() if len(names) > 1)
    overlapping = [names for names in distinct if len(names) > 1]
    order = {name: place for place, name in enumerate(tensors)}
    return Sharing(
        tuple(tuple(names) for names in views.values() if len(names) > 1),
        tuple(sorted(overlapping, key=lambda names: order[names[0]])),
        sum(region.length for region in members),
    )


def tied_groups(tensors: Mapping[str, TensorInfo]) -> tuple[tuple[str, ...], ...]:
    """Return :attr:`Sharing.groups` alone, which takes a small part of the time."""
    # only where two begin at one offset, of the same file or not, are their views compared
    seen: set[int] = set()
    again: set[int] = set()
    for _, _, _, _, extents, *_ in tensors.values():
        if extents:
            offset = extents[0].offset
            (again if offset in seen else seen).add(offset)
    views = _grouped(
        (name, info)
        for name, info in tensors.items()
        if info.extents and info.extents[0].offset in again
    )
    return tuple(tuple(names) for names in views.values() if len(names) > 1)


def _views(tensors: Mapping[str, TensorInfo]) -> dict[Any, list[str]]:
    """Return the names of each distinct view."""
    return _grouped(tensors.items())


def _grouped(infos: Iterable[tuple[str, TensorInfo]]) -> dict[Any, list[str]]:
    views: dict[Any, list[str]] = {}
    for name, info in infos:
        if info.nbytes:  # all empty tensors of a shape have equal views, and share nothing
            views.setdefault(info.view, []).append(name)
    return views


# --- ties that a file only records -------------------------------------------------------


def tied_names(tensors: Mapping[str, TensorInfo], metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the dropped names that ``__metadata__`` records, each to the name that was kept."""
    # Any tool may write metadata: an entry is a tie only if exactly one of the two is stored.
    return {
        dropped: kept
        for dropped, kept in metadata.items()
        if kept in tensors and dropped not in tensors and dropped not in OWN_KEYS
    }


def with_tied(
    tensors: Mapping[str, TensorInfo], metadata: Mapping[str, str]
) -> dict[str, TensorInfo]:
    """Return the tensors and, as views of them, the tied names that are only recorded.

    Those stand at the places that :data:`ORDER` gives, or else at the end.
    """
    tied = tied_names(tensors, metadata)
    if not tied:
        return dict(tensors)
    places = _places(metadata)
    every: dict[str, TensorInfo] = {}
    stored = iter(tensors.items())
    last = len(tensors) + len(tied)
    for name in sorted(tied, key=lambda name: places.get(name, last)):
        every.update(islice(stored, max(0, places.get(name, last) - len(every))))
        every[name] = tensors[tied[name]]._replace(name=name)
    every.update(stored)
    return every


def spread(values: Mapping[str, _Value], tied: Mapping[str, str]) -> dict[str, _Value]:
    """Return the values by name and, for each tied name, that of the tensor it is tied to."""
    return {**values, **{name: values[kept] for name, kept in tied.items()}}


def order_of(tied: Collection[str], names: Collection[str]) -> str:
    """Return the value of :data:`ORDER`: where among all names, counted from 0, the tied stand."""
    return json.dumps(
        {name: place for place, name in enumerate(names) if name in tied},
        separators=(",", ":"),
        ensure_ascii=False,
    )


def _places(metadata: Mapping[str, str]) -> dict[str, int]:
    """Return the places in :data:`ORDER`; a malformed entry is ignored: only an order is lost."""
    try:
        places = json.loads(metadata.get(ORDER, "{}"), parse_int=_place)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(places, dict):
        return {}
    return {name: place for name, place in places.items() if type(place) is int and place >= 0}


def _place(digits: str) -> int:
    # int() takes time that grows with the square of the digits, and a file may have a million.
    return int(digits) if len(digits) < _DIGITS else -1


# --- bytes in common ---------------------------------------------------------------------


def regions(extents: Iterable[Extent]) -> dict[Extent, Extent]:
    """Return, for every extent, the run of bytes that it and those overlapping it make up."""
    # Sources have no order of their own; their identity keeps each file's extents together.
    ordered = sorted(set(extents), key=lambda extent: (id(extent.source), extent[1:]))
    region_of: dict[Extent, Extent] = {}
    members: list[Extent] = []
    end = 0
    for extent in ordered:
        if members and (extent.source is not members[0].source or extent.offset >= end):
            _close_region(members, end, region_of)
            members, end = [], 0
        end = max(end, extent.offset + extent.length)
        members.append(extent)
    _close_region(members, end, region_of)
    return region_of


def _close_region(members: Sequence[Extent], end: int, region_of: dict[Extent, Extent]) -> None:
    if len(members) == 1:  # nearly all; a copy of the extent would be equal
        region_of[members[0]] = members[0]
    elif members:
        region = members[0]._replace(length=end - members[0].offset)
        region_of.update(dict.fromkeys(members, region))


def covered(extents: Iterable[Extent]) -> int:
    """Return how many bytes the extents lie in, each counted once."""
    return sum(region.length for region in set(regions(extents).values()))


# --- the cap on amplification ------------------------------------------------------------


def amplified(views: Sequence[TensorInfo]) -> frozenset[int]:
    """Return the indices of the views that must not be read: none if all are within the cap.

    Beyond the cap, every region that expands by more than the factor is refused; what remains is
    at most the factor times the bytes it covers.
    """
    if sum(info.nbytes for info in views) <= AMPLIFICATION_SLACK:  # spares sorting the extents
        return frozenset()
    region_of = regions(extent for info in views for extent in info.extents)
    logical = dict.fromkeys(region_of.values(), 0)
    for info in views:
        for extent, nbytes in _shares(info):
            logical[region_of[extent]] += nbytes
    if sum(logical.values()) <= _most(sum(region.length for region in logical)):
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


def check_expansion(tensors: Mapping[str, TensorInfo], covered: int) -> None:
    """Refuse tensors that would fill the disk with repetitions of a few bytes.

    Raises:
        MalformedError: written out, they have far more bytes than the file has for them.
    """
    written = sum(info.nbytes for info in tensors.values())
    if written <= _most(covered):
        return
    widest = max(tensors.values(), key=lambda info: info.nbytes)
    raise MalformedError(
        f"written out, {count(len(tensors), 'tensor')} would expand far beyond the file",
        rules.AMPLIFICATION,
        tensor=widest.name,
        expected=f"at most {size(_most(covered))} for the {size(covered)} that they cover",
        found=size(written),
        fix="Leave the expanded tensors out with --exclude.",
    )


def _most(covered: int) -> int:
    return AMPLIFICATION_FACTOR * covered + AMPLIFICATION_SLACK


def _shares(info: TensorInfo) -> list[tuple[Extent, int]]:
    """Return how many bytes of the contiguous form come from each extent."""
    if info.strides is None:
        return [(extent, extent.length) for extent in info.extents]
    return [(info.extents[0], info.nbytes)] if info.extents else []
