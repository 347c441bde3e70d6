"""Which tensors of two files are a pair: by name, by canonical name, with a prefix set aside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, Mapping, NamedTuple

from ckpttool.models.canonical import canonicalize
from ckpttool.models.layouts.recognise import PREFIXES, strip
from ckpttool.tensors.sharing import with_tied

if TYPE_CHECKING:
    from ckpttool.models.canonical import Canonical
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo


class Named(NamedTuple):
    """A file's tensors by the names to compare under, and each one's names in the file."""

    tensors: dict[str, TensorInfo]
    origins: dict[str, tuple[str, ...]]


class Match(NamedTuple):
    """Two tensors that are to be compared; ``moved`` if a prefix stands before one name."""

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
    """A file's tensors by its own names, with those that it only records, and by canonical ones."""

    tensors: Mapping[str, TensorInfo]
    canonical: Canonical


def with_names_tied(checkpoint: Checkpoint, canonical: Canonical) -> Names:
    """Return a file's tensors with the names that it only records as tied.

    Args:
        checkpoint: the file.
        canonical: its own tensors under canonical names.
    """
    every = with_tied(checkpoint.tensors, checkpoint.metadata)
    added = len(every) > len(checkpoint.tensors)
    return Names(every, canonicalize(every) if added else canonical)


def pair(one: Names, other: Names) -> Pairing:
    """Pair the tensors of two files.

    Where both files follow a known convention and not the same one, both are brought to the
    canonical names, fused tensors included; the bytes stay where they are. Where only a prefix
    (``module.``) differs, the names without it make the pairs.
    """
    left, right = one.tensors, other.tensors
    if left.keys() != right.keys():
        canonical = one.canonical, other.canonical
        layouts = canonical[0].layout, canonical[1].layout
        if layouts[0] is not None and layouts[1] is not None and layouts[0] != layouts[1]:
            sides = [Named(side.tensors, side.origins) for side in canonical]
            return _paired(sides[0], sides[1], {}, (layouts[0], layouts[1]))
    moved = _without_prefix(left, right)
    return _paired(Named(dict(left), {}), Named(dict(right), {}), moved, None)


def _without_prefix(left: Collection[str], right: Collection[str]) -> dict[str, str]:
    """Return left name -> right name of leftovers that differ in what wrappers put before them.

    Only where there is no choice: two names that become one stay apart.
    """
    bare: dict[str, tuple[list[str], list[str]]] = {}
    for side, (here, there) in enumerate(((left, right), (right, left))):
        for name in here:
            if name not in there:
                bare.setdefault(_bare(name), ([], []))[side].append(name)
    return {
        lefts[0]: rights[0] for lefts, rights in bare.values() if len(lefts) == len(rights) == 1
    }


def _bare(name: str) -> str:
    found = True
    while found:
        found = False
        for prefix in PREFIXES:
            if name.startswith(prefix):
                name, found = strip(name, prefix), True
    return name


def _paired(
    left: Named,
    right: Named,
    moved: Mapping[str, str],
    layouts: tuple[str, str] | None,
) -> Pairing:
    matches, only_left, only_right = _matched(left.tensors, right.tensors, moved)
    return Pairing(left, right, matches, only_left, only_right, layouts)


def match_names(
    left: Collection[str], right: Collection[str]
) -> tuple[tuple[Match, ...], tuple[str, ...], tuple[str, ...]]:
    """Pair names alone: (pairs, only left, only right), prefixes set aside, no layouts."""
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
