"""Gives each tensor of a file the canonical name that its pattern stands for.

Nothing is left out: what has no canonical name keeps its own, without the prefix. Of two tensors
that stand for one, that which follows the rest of the file is taken, and the other stands aside.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.findings.text import count, some_of
from ckpttool.models.layouts.joining import join, why_apart
from ckpttool.models.layouts.patterns import number_of
from ckpttool.models.layouts.renames import NUMBER
from ckpttool.tensors.catalogue import TensorInfo

if TYPE_CHECKING:
    from typing import Iterator, Mapping, Sequence

    from ckpttool.models.layouts.recognise import Chosen, Recognised

# Names of a long list in one problem.
_SHOWN = 3


class Removed(NamedTuple):
    """A string that was taken out of names, so that they fit.

    Attributes:
        text: with the dot behind it: ``module.``, ``_orig_mod.``.
        names: how many names it was removed from.
        inside: whether it stands inside of names, and not before them.
    """

    text: str
    names: int
    inside: bool = False


class Renamed(NamedTuple):
    """A file's tensors under canonical names; the fields are those of ``Canonical``."""

    tensors: dict[str, TensorInfo]
    origins: dict[str, tuple[str, ...]]
    unclaimed: tuple[str, ...]
    problems: tuple[str, ...]
    removed: tuple[Removed, ...]
    apart: tuple[str, ...]


class _Row(NamedTuple):
    """A tensor's own name and its canonical one; without a claim, there is none."""

    name: str
    canonical: str = ""
    chosen: Chosen | None = None


def rename(found: Recognised, tensors: Mapping[str, TensorInfo]) -> Renamed:
    """Return ``tensors``, whose names are those that were recognised, under canonical names."""
    rows = list(_rows(found, tensors))
    choice = _choose(rows, found, tensors)
    taken = {row.canonical for row in rows if row.chosen and row.name not in choice.kept}
    removed = _removed(found, choice.lost)
    names = _OwnNames(tensors, taken, [one.text for one in removed if not one.inside])
    result: dict[str, TensorInfo] = {}
    origins: dict[str, tuple[str, ...]] = {}
    unclaimed: list[str] = []
    apart: list[str] = []
    for name, canonical, chosen in rows:
        info = tensors[name]
        origin: tuple[str, ...] = (name,)
        if chosen is None or name in choice.kept:
            lost = name in choice.lost
            key = names.of(name, lost, counts=chosen is None or lost)
            if chosen is None or lost:
                unclaimed.append(key)
            elif chosen.reading.lacking:
                apart.append(key)
        else:
            key = canonical
            origin = choice.joins.get(canonical, origin)
            # a joined tensor stands where its first part did, which keeps the order of the file
            if name != origin[0]:
                continue
            if len(origin) > 1:
                info = join(key, [tensors[part] for part in origin])
        # not _replace, which takes twice as long: a file may have 100,000 tensors
        result[key] = info if info.name == key else TensorInfo(key, *info[1:])
        origins[key] = origin
    return Renamed(
        result,
        origins,
        tuple(unclaimed),
        (*choice.problems, *names.problems()),
        names.counted(removed),
        tuple(apart),
    )


def _rows(found: Recognised, tensors: Mapping[str, TensorInfo]) -> Iterator[_Row]:
    """Yield each name with its canonical name and the claim that gives it, if one does."""
    made = {}
    for pattern, chosen in found.claims.items():
        before, number, after = chosen.claim.canonical.partition(NUMBER)
        made[pattern] = chosen, before, after, number_of(pattern) if number else None
    for name, pattern in zip(tensors, found.patterns):
        entry = made.get(pattern)
        if entry is None:
            yield _Row(name)
            continue
        chosen, before, after, number_in = entry
        canonical = before if number_in is None else f"{before}{number_in(name)}{after}"
        # not by the class: its __new__ takes as long again
        yield tuple.__new__(_Row, (name, canonical, chosen))


class _Choice(NamedTuple):
    """Which tensors get their canonical name.

    Attributes:
        joins: canonical name -> the parts, in order.
        kept: names that stay, though they are claimed: what was lost, and what does not join.
        lost: names of tensors that stand for one that another was taken for.
        problems: what is to be said of these, a line each.
    """

    joins: dict[str, tuple[str, ...]]
    kept: set[str]
    lost: dict[str, Chosen]
    problems: list[str]


def _choose(rows: list[_Row], found: Recognised, tensors: Mapping[str, TensorInfo]) -> _Choice:
    choice = _Choice({}, set(), {}, [])
    twice: list[str] = []
    for canonical, members in _groups(rows, found).items():
        best, *others = _ways(members)
        for name, chosen in (one for way in others for one in way):
            choice.kept.add(name)
            choice.lost[name] = chosen
            twice.append(f"{name} (for {canonical}, {best[0].name} was taken)")
        why = _why_apart(best, tensors)
        if why is None:
            choice.joins[canonical] = tuple(one.name for one in best)
            continue
        choice.kept.update(one.name for one in best)
        if why:
            choice.problems.append(f"{canonical} is not put together: {why}")
    if twice:
        choice.problems.append(
            f"{count(len(twice), 'tensor')} could be the model's too, and"
            f" {'stands' if len(twice) == 1 else 'stand'} aside: {some_of(twice, _SHOWN)}"
        )
    return choice


class _Member(NamedTuple):
    """A tensor that stands for one of the model, or for a part of one."""

    name: str
    chosen: Chosen


def _groups(rows: list[_Row], found: Recognised) -> dict[str, list[_Member]]:
    """Return canonical name -> tensors that stand for it, for all but plain renames."""
    patterns = Counter(chosen.claim.canonical for chosen in found.claims.values())
    several = {pattern for pattern, number in patterns.items() if number > 1}
    several.update(
        chosen.claim.canonical for chosen in found.claims.values() if chosen.claim.parts > 1
    )
    groups: dict[str, list[_Member]] = {}
    if several:
        for name, canonical, chosen in rows:
            if chosen is not None and chosen.claim.canonical in several:
                groups.setdefault(canonical, []).append(_Member(name, chosen))
    return groups


def _ways(members: list[_Member]) -> list[list[_Member]]:
    """Return the ways to have one tensor, each its parts in order; the best first."""
    if len(members) == 1:
        return [members]
    found: dict[tuple[object, ...], dict[int, _Member]] = {}
    for member in members:
        claim, rank, reading = member.chosen
        # of several parts, one may be wrapped and another not
        alone = (reading.spelled, reading.inside) if claim.parts == 1 else ()
        way: tuple[object, ...] = (rank, reading.prefix, claim.parts, alone)
        while claim.part in found.get(way, ()):  # one part in two spellings
            way = (*way, "")
        found.setdefault(way, {})[claim.part] = member
    ways = [[parts[part] for part in sorted(parts)] for parts in found.values()]
    # what has all parts comes first, then what follows the rest of the file
    return sorted(ways, key=lambda way: (not _is_whole(way), way[0].chosen.rank))


def _is_whole(way: list[_Member]) -> bool:
    return len(way) == way[0].chosen.claim.parts


def _why_apart(way: list[_Member], tensors: Mapping[str, TensorInfo]) -> str | None:
    """Return why parts do not become one tensor, ``""`` where that is usual."""
    if way[0].chosen.reading.lacking:
        return ""
    if not _is_whole(way):
        names = ", ".join(one.name for one in way)
        return f"it has {way[0].chosen.claim.parts} parts, and there is only {names}"
    return why_apart([tensors[one.name] for one in way]) if len(way) > 1 else None


def _removed(found: Recognised, lost: Mapping[str, Chosen]) -> list[Removed]:
    """Return what was taken out of the names that are claimed, what most names had first."""
    counts: Counter[tuple[bool, str]] = Counter()
    group_of = found.family.group_of
    patterns = [(chosen, found.counts[pattern]) for pattern, chosen in found.claims.items()]
    for chosen, names in (*patterns, *((chosen, -1) for chosen in lost.values())):
        reading = chosen.reading
        prefix = found.naming.removed(reading.prefix, group_of(chosen.claim.canonical))
        if prefix:
            counts[False, prefix] += names
        for wrapper in reading.inside:
            counts[True, f"{wrapper}."] += names
    return [
        Removed(text, names, inside) for (inside, text), names in counts.most_common() if names > 0
    ]


class _OwnNames:
    """The names of what keeps its own, without a prefix where that is no other tensor's name."""

    def __init__(
        self, tensors: Mapping[str, TensorInfo], taken: set[str], prefixes: Sequence[str]
    ) -> None:
        self._tensors, self._taken = tensors, taken
        self._prefixes = tuple(sorted(prefixes, key=len, reverse=True))
        self._stripped: Counter[str] = Counter()
        self._strangers: list[str] = []

    def of(self, name: str, lost: bool, counts: bool = True) -> str:
        """Return the name that a tensor is known by; no two get the same.

        Args:
            name: its own.
            lost: whether the model's tensor of this name was taken elsewhere, and that is told.
            counts: whether a prefix that it had is to be counted: of what is claimed it is already.
        """
        key = self._bare(name, counts)
        if key in self._taken:
            if not lost:
                self._strangers.append(name)
            key = f"{name} (not taken)"
            while key in self._taken or key in self._tensors:
                key = f"{key}+"
        self._taken.add(key)
        return key

    def _bare(self, name: str, counts: bool) -> str:
        if self._prefixes and name.startswith(self._prefixes):
            prefix = next(one for one in self._prefixes if name.startswith(one))
            bare = name[len(prefix) :]
            if bare and bare not in self._taken and bare not in self._tensors:
                self._stripped[prefix] += counts
                return bare
        return name

    def problems(self) -> Iterator[str]:
        """Yield what is to be said of names that are the model's, and were not taken for it."""
        if self._strangers:
            strangers = self._strangers
            yield (
                f"{count(len(strangers), 'name')} would be the model's if there was no prefix, and"
                f" what has the prefix was taken: {some_of(strangers, _SHOWN)}"
            )

    def counted(self, removed: Sequence[Removed]) -> tuple[Removed, ...]:
        """Return what was removed, from names that nothing claims too."""
        return tuple(
            one if one.inside else one._replace(names=one.names + self._stripped[one.text])
            for one in removed
        )
