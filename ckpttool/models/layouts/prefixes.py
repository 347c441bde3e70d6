"""Which string before names is the prefix of a side of the model: the one that makes most fit."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.models.layouts.renames import NUMBER
from ckpttool.models.layouts.spellings import module_of, spellings_of

if TYPE_CHECKING:
    from typing import Iterable, Mapping

    from ckpttool.models.family import Family
    from ckpttool.models.layouts.readings import Reading

_BLOCK = f".{NUMBER}."
# Of a block's modules, one in two must be there: a BERT's block has three of six that are called
# as in Hugging Face's ViT, and is told from it by its LayerNorms.
_SHARE_OF_MODULES = 2
# Or of all names of the file one in two: a shard without blocks, a file that lacks much.
_SHARE_OF_NAMES = 2

_PART = re.compile(r"(?:^|(?<=\.))[0-9]+(?=\.)")


class Rival(NamedTuple):
    """A prefix that was not chosen, though the names behind it fit too, and how many do."""

    prefix: str
    names: int


class Votes:
    """What the names of a file say of the prefix of each side (a group of the family)."""

    def __init__(
        self,
        readings: Mapping[str, Reading],
        counts: Mapping[str, int],
        family: Family,
        names: int,
    ) -> None:
        """Count the votes.

        Args:
            readings: pattern -> what it stands for.
            counts: pattern -> number of names.
            family: the models.
            names: number of all names of the file.
        """
        self._family, self._names = family, names
        self._spellings = spellings_of(family)
        self._votes: dict[str, Counter[str]] = {group: Counter() for group in family.groups}
        self._modules: dict[tuple[str, str], set[str]] = {}
        self._anchored: dict[tuple[str, str], set[bool]] = {}
        for pattern, reading in readings.items():
            groups = {family.group_of(claim.canonical) for claim in reading.claims}
            if len(groups) == 1:  # a spelling that both sides have tells nothing of either
                self._count(reading, counts[pattern], groups.pop())

    def _count(self, reading: Reading, names: int, group: str) -> None:
        side = group, reading.prefix
        self._votes[group][reading.prefix] += names
        for claim in reading.claims:
            _, block, role = claim.canonical.partition(_BLOCK)
            if block:
                self._modules.setdefault(side, set()).add(module_of(role))
            if (role if block else claim.canonical) in self._spellings.anchors:
                self._anchored.setdefault(side, set()).add(bool(block))

    def prefixes(self) -> dict[str, str]:
        """Return group -> its prefix, for the groups that are there; the core first.

        On a tie names without a prefix win, then the shorter prefix, then the first in the file.
        """
        found = {}
        for group, votes in self._votes.items():
            fitting = self._fitting(group)
            if fitting:
                found[group] = min(fitting, key=lambda one: (-votes[one], len(one)))
        return found

    def rivals(self, prefixes: Mapping[str, str]) -> tuple[Rival, ...]:
        """Return what could be the prefix of a group too, beside that which is."""
        found: Counter[str] = Counter()
        for group, prefix in prefixes.items():
            for other in self._fitting(group):
                if other != prefix:
                    found[other] += self._votes[group][other]
        return tuple(Rival(prefix, names) for prefix, names in found.most_common())

    def _fitting(self, group: str) -> list[str]:
        stacks = [stack for stack, of in self._family.stacks.items() if of == group]
        usual = {module for stack in stacks for module in self._spellings.modules.get(stack, ())}
        fitting = []
        for prefix, names in self._votes[group].items():
            if (group, prefix) not in self._anchored:
                continue
            modules = self._modules.get((group, prefix), ())
            if (
                names * _SHARE_OF_NAMES >= self._names
                or len(modules) * _SHARE_OF_MODULES >= len(usual) > 0
            ):
                fitting.append(prefix)
        nested = self._nested(group, fitting)
        return [prefix for prefix in fitting if prefix not in nested]

    def _nested(self, group: str, prefixes: Iterable[str]) -> set[str]:
        """Return the prefixes that differ in a number alone, as ``layers.0.`` and ``layers.1.`` do.

        They are the stages of another model, unless a whole one is behind each.
        """
        alike: dict[str, list[str]] = {}
        for prefix in prefixes:
            alike.setdefault(_PART.sub(NUMBER, prefix), []).append(prefix)
        return {
            prefix
            for several in alike.values()
            if len(several) > 1
            for prefix in several
            if False not in self._anchored[group, prefix]
        }
