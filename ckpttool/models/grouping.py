"""The parts of a model of which nothing is known: what somebody calls so, and top-level modules."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Iterable, Mapping, NamedTuple, Sequence

from ckpttool.findings.patterns import matcher

if TYPE_CHECKING:
    from ckpttool.models.reference import Reference

#: The group of tensors that lie in no module.
ROOT = "(root)"
#: The group of the modules that are not shown one by one.
OTHERS = "(others)"
#: Of more top-level modules the smallest share a group: a file may have a million of them.
MOST_GROUPS = 12


class Idle(NamedTuple):
    """A pattern of a group that takes no tensor, because none has such a name or others took it."""

    group: str
    pattern: str


class Grouped(NamedTuple):
    """Names in groups.

    Attributes:
        group_of: name -> its group.
        order: the groups that have a name: those of the patterns first.
        idle: the patterns that take none.
    """

    group_of: dict[str, str]
    order: tuple[str, ...]
    idle: tuple[Idle, ...]


class Groups:
    """Groups by patterns, for the schemas of a run.

    Args:
        patterns: group -> patterns of the names in it. The first that matches a name takes it.
    """

    def __init__(self, patterns: Mapping[str, Sequence[str]]) -> None:
        self._patterns = patterns
        # a run over many files has one schema, and grouping its names takes as long as reading it
        self._last: tuple[Reference, Reference] | None = None

    def of(self, reference: Reference) -> Reference:
        """Return a schema in these groups."""
        if self._last is None or self._last[0] is not reference:
            self._last = reference, reference.grouped(self._patterns)
        return self._last[1]


def grouped(names: Iterable[str], patterns: Mapping[str, Sequence[str]]) -> Grouped:
    """Return the group of each name: by the first pattern that matches, else by its module."""
    listed = list(names)
    tries = [
        (group, pattern, matcher(pattern))
        for group, theirs in patterns.items()
        for pattern in theirs
    ]
    group_of: dict[str, str] = {}
    used = set()
    for name in listed if tries else ():
        for group, pattern, fits in tries:
            if fits(name):
                group_of[name] = group
                used.add((group, pattern))
                break
    modules = _modules([name for name in listed if name not in group_of])
    for name, module in modules.items():
        # what is called as a module, and is not all of it, must not be counted with the rest
        group_of[name] = OTHERS if module in patterns else module
    found = dict.fromkeys(group_of[name] for name in listed)
    return Grouped(
        group_of,
        tuple(dict.fromkeys([*(group for group in patterns if group in found), *found])),
        tuple(Idle(group, pattern) for group, pattern, _ in tries if (group, pattern) not in used),
    )


def _modules(names: Sequence[str]) -> dict[str, str]:
    """Return the group of each name: the top-level module, if it is among the largest."""
    modules = {name: name.partition(".")[0] if "." in name else ROOT for name in names}
    sizes = Counter(modules.values())
    if len(sizes) <= MOST_GROUPS:
        return modules
    kept = {module for module, _ in sizes.most_common(MOST_GROUPS - 1)}
    return {name: module if module in kept else OTHERS for name, module in modules.items()}
