"""Pairs the tensors of two files: by name, by canonical name, or without a wrapper's prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Collection, Iterable, Mapping, NamedTuple

from ckpttool.comparison.given import given_names
from ckpttool.comparison.wrapped import without_wrappers
from ckpttool.models.canonical import canonicalize
from ckpttool.tensors.sharing import with_tied

if TYPE_CHECKING:
    from ckpttool.comparison.given import Given
    from ckpttool.comparison.wrapped import Shaped
    from ckpttool.models.canonical import Canonical
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo


class Named(NamedTuple):
    """A file's tensors by the names they are compared under, and their names in the file."""

    tensors: dict[str, TensorInfo]
    origins: dict[str, tuple[str, ...]]


class Match(NamedTuple):
    """Two tensors to compare; ``moved`` if one name has a wrapper's parts that the other lacks."""

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
    """A file's tensors by name, recorded ties included, and by canonical names.

    ``origins`` are the names in the file, of those that the caller gave another one.
    """

    tensors: Mapping[str, TensorInfo]
    canonical: Canonical
    origins: Mapping[str, tuple[str, ...]] = {}

    def with_given(self, given: Given) -> Names:
        """Return the tensors under the names that the caller says they have on the other side.

        Raises:
            UsageError: a pattern matches nothing, or two names become one.
        """
        if not given:
            return self
        new = given_names(self.tensors, given)
        tensors = {new[name]: info for name, info in self.tensors.items()}
        origins = {other: (name,) for name, other in new.items() if name != other}
        return Names(tensors, canonicalize(tensors), origins)

    def in_file(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return what the file calls tensors."""
        return tuple(own for name in names for own in self.origins.get(name, (name,)))


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
        left, right = (Named(dict(side.tensors), dict(side.origins)) for side in (one, other))
        return Pairing(left, right, *match_names(left.tensors, right.tensors), None)
    left, right = (
        Named(
            side.canonical.tensors,
            {name: side.in_file(own) for name, own in side.canonical.origins.items()},
        )
        for side in (one, other)
    )
    matched = _matched(left.tensors, right.tensors, {})
    return Pairing(left, right, *matched, (mine.layout, theirs.layout))


def match_names(
    left: Mapping[str, Shaped], right: Mapping[str, Shaped]
) -> tuple[tuple[Match, ...], tuple[str, ...], tuple[str, ...]]:
    """Pair names, by no layout but without wrappers' parts: (pairs, only left, only right)."""
    return _matched(left, right, without_wrappers(left, right))


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
