"""Pairs the tensors of two files: by name, by canonical name, or without a wrapper's prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, Mapping, NamedTuple

from ckpttool.models.canonical import canonicalize
from ckpttool.models.layouts.recognise import PREFIXES, strip
from ckpttool.tensors.sharing import with_tied

if TYPE_CHECKING:
    from ckpttool.models.canonical import Canonical
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo


class Named(NamedTuple):
    """A file's tensors by the names they are compared under, and their names in the file."""

    tensors: dict[str, TensorInfo]
    origins: dict[str, tuple[str, ...]]


class Match(NamedTuple):
    """Two tensors to compare; ``moved`` if one name has a prefix that the other lacks."""

    left: str
    right: str
    moved: bool = False


class Pairing(NamedTuple):
    """Which tensors belong together.

    Attributes:
        left, right: the tensors under the names compared.
        matches: the pairs, in the order of the left file.
        only_left, only_right: names without a partner, in order.
        layouts: both conventions where they differ and canonical names are compared.
    """

    left: Named
    right: Named
    matches: tuple[Match, ...]
    only_left: tuple[str, ...]
    only_right: tuple[str, ...]
    layouts: tuple[str, str] | None


class Names(NamedTuple):
    """A file's tensors by its own names, recorded ties included, and by canonical names."""

    tensors: Mapping[str, TensorInfo]
    canonical: Canonical


def with_names_tied(checkpoint: Checkpoint, canonical: Canonical) -> Names:
    """Return a file's tensors with the names that its metadata only records as tied.

    Args:
        checkpoint: the file.
        canonical: its own tensors under canonical names.
    """
    # As in a file that stores them: a conversion that drops duplicates must make no difference.
    every = with_tied(checkpoint.tensors, checkpoint.metadata)
    added = len(every) > len(checkpoint.tensors)
    return Names(every, canonicalize(every) if added else canonical)


def pair(one: Names, other: Names) -> Pairing:
    """Pair the tensors of two files.

    If the files follow two different known conventions, both are compared under canonical names,
    fused tensors included. If only a prefix (``module.``) differs, names are paired without it.
    """
    mine, theirs = one.canonical, other.canonical
    # The same names are compared as they are: users know them, and a report should use them.
    if (
        one.tensors.keys() == other.tensors.keys()
        or mine.layout is None
        or theirs.layout is None
        or mine.layout == theirs.layout
    ):
        left, right = (Named(dict(side.tensors), {}) for side in (one, other))
        return Pairing(left, right, *match_names(left.tensors, right.tensors), None)
    left, right = (Named(side.tensors, side.origins) for side in (mine, theirs))
    matched = _matched(left.tensors, right.tensors, {})
    return Pairing(left, right, *matched, (mine.layout, theirs.layout))


def _without_prefix(left: Collection[str], right: Collection[str]) -> dict[str, str]:
    """Return left name -> right name of unmatched names that differ only in a wrapper's prefix."""
    bare: dict[str, tuple[list[str], list[str]]] = {}
    for side, (here, there) in enumerate(((left, right), (right, left))):
        for name in here:
            if name not in there:
                bare.setdefault(_bare(name), ([], []))[side].append(name)
    # Only one to one: of two names that become the same, neither is known to be the partner.
    return {
        lefts[0]: rights[0] for lefts, rights in bare.values() if len(lefts) == len(rights) == 1
    }


def _bare(name: str) -> str:
    found = True
    while found:  # wrappers nest in any order: module._orig_mod., _orig_mod.module.
        found = False
        for prefix in PREFIXES:
            if name.startswith(prefix):
                name, found = strip(name, prefix), True
    return name


def match_names(
    left: Collection[str], right: Collection[str]
) -> tuple[tuple[Match, ...], tuple[str, ...], tuple[str, ...]]:
    """Pair names, without prefixes but by no layout: (pairs, only left, only right)."""
    return _matched(left, right, _without_prefix(left, right))


def _matched(
    left: Collection[str], right: Collection[str], moved: Mapping[str, str]
) -> tuple[tuple[Match, ...], tuple[str, ...], tuple[str, ...]]:
    matches = []
    for name in left:
        other = moved.get(name, name)
        if other in right:
            matches.append(Match(name, other, name in moved))
    taken = [{match[side] for match in matches} for side in (0, 1)]
    only_left, only_right = (
        tuple(name for name in names if name not in seen)
        for names, seen in zip((left, right), taken)
    )
    return tuple(matches), only_left, only_right
