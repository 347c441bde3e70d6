"""Tensors that share bytes: exact duplicates, and views that overlap in part.

A file of torch keeps such names as views of one storage. Where a format has no views, exact
duplicates can be stored once and recorded; everything else is written out in full.
"""

from __future__ import annotations

from typing import Any, Iterator, Mapping, NamedTuple

from ckpttool import rules
from ckpttool.errors import MalformedError
from ckpttool.tensors import TensorInfo
from ckpttool.text import count, size

#: Written out, tensors may hold this many times the bytes of the file that they cover ...
EXPANSION_FACTOR = 4
#: ... and this many bytes more: small stride-0 views are common and harmless.
EXPANSION_SLACK = 64 << 20


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
            # dtype, shape, strides, extents, byte order: all that says what the bytes mean
            views.setdefault(info[1:6], []).append(name)
    tied = {name: min(names) for names in views.values() for name in names if name != min(names)}
    covered = 0
    overlapping = []
    for names, nbytes in _regions(tensors, [min(names) for names in views.values()]):
        covered += nbytes
        if len(names) > 1:
            overlapping.append(names)
    order = {name: place for place, name in enumerate(tensors)}
    return Sharing(tied, tuple(sorted(overlapping, key=lambda names: order[names[0]])), covered)


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


def check_expansion(tensors: Mapping[str, TensorInfo], covered: int) -> None:
    """Refuse tensors that would fill the disk with repetitions of a few bytes.

    Raises:
        MalformedError: written out, they have far more bytes than the file has for them.
    """
    written = sum(info.nbytes for info in tensors.values())
    most = EXPANSION_FACTOR * covered + EXPANSION_SLACK
    if written <= most:
        return
    widest = max(tensors.values(), key=lambda info: info.nbytes)
    raise MalformedError(
        f"written out, {count(len(tensors), 'tensor')} would expand far beyond the file",
        rules.AMPLIFICATION,
        tensor=widest.name,
        expected=f"at most {size(most)} for the {size(covered)} that they cover",
        found=size(written),
        fix="Leave the expanded tensors out with --exclude.",
    )
