"""Tensors that share bytes: exact duplicates, views that overlap in part, and recorded ties.

A file of torch keeps such names as views of one storage. Where a format has no views, exact
duplicates can be stored once and recorded in the metadata; everything else is written out in full.
"""

from __future__ import annotations

import json
from itertools import islice
from typing import Any, Collection, Iterator, Mapping, NamedTuple

from ckpttool.tensors.catalogue import TensorInfo

#: Keys of ``__metadata__`` that are this program's own, so no names of tied tensors: what the
#: tensors are, what they are called, what they lay under, and where the tied ones stood.
FORMAT, FINGERPRINT = "format", "ckpttool.fingerprint"
WRAPPER, ORDER = "ckpttool.wrapper", "ckpttool.order"
OWN_KEYS = (FORMAT, FINGERPRINT, WRAPPER, ORDER)

_DIGITS = 10  # of a place: more than there can be tensors


class Sharing(NamedTuple):
    """Who shares bytes with whom.

    Attributes:
        groups: names that are the same in every byte, two at least, each group in the order of
            the file. Exact duplicates cover the same bytes, so all are as complete.
        overlapping: groups of names that share bytes without being the same, in order. Of
            names that are the same only the first is in them.
        covered: bytes of the files that any of the tensors lie in.
    """

    groups: tuple[tuple[str, ...], ...]
    overlapping: tuple[tuple[str, ...], ...]
    covered: int


def find_sharing(tensors: Mapping[str, TensorInfo]) -> Sharing:
    """Find out which tensors share bytes; empty ones share nothing."""
    views: dict[Any, list[str]] = {}
    for name, info in tensors.items():
        if info.nbytes:
            views.setdefault(info.view, []).append(name)
    covered = 0
    overlapping = []
    for names, nbytes in _regions(tensors, [names[0] for names in views.values()]):
        covered += nbytes
        if len(names) > 1:
            overlapping.append(names)
    order = {name: place for place, name in enumerate(tensors)}
    return Sharing(
        tuple(tuple(names) for names in views.values() if len(names) > 1),
        tuple(sorted(overlapping, key=lambda names: order[names[0]])),
        covered,
    )


# --- ties that a file only records -------------------------------------------------------


def tied_names(tensors: Mapping[str, TensorInfo], metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the names that ``__metadata__`` records as dropped, to the ones that were kept."""
    return {
        dropped: kept
        for dropped, kept in metadata.items()
        if kept in tensors and dropped not in tensors and dropped not in OWN_KEYS
    }


def with_tied(
    tensors: Mapping[str, TensorInfo], metadata: Mapping[str, str]
) -> dict[str, TensorInfo]:
    """Return the tensors and the names that are only recorded, each as a view of the kept one.

    The names stand where :data:`ORDER` says that they stood, or else at the end.
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


def order_of(tied: Collection[str], names: Collection[str]) -> str:
    """Return the value of :data:`ORDER`: where among all names, counted from 0, the tied stand."""
    return json.dumps(
        {name: place for place, name in enumerate(names) if name in tied},
        separators=(",", ":"),
        ensure_ascii=False,
    )


def _places(metadata: Mapping[str, str]) -> dict[str, int]:
    """Return what :data:`ORDER` says; what is not of its form says nothing."""
    try:
        places = json.loads(metadata.get(ORDER, "{}"), parse_int=_place)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(places, dict):
        return {}
    return {name: place for name, place in places.items() if type(place) is int and place >= 0}


def _place(digits: str) -> int:
    # reading a number of a million digits takes time that grows with their square
    return int(digits) if len(digits) < _DIGITS else -1


# --- bytes in common ---------------------------------------------------------------------


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
