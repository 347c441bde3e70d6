"""Recognising a checkpoint's naming convention, and what stands before and inside its names.

Nothing is known of prefixes. Each name is read from its end: what a convention calls a tensor,
and before it whatever there is. Of what stands there, the string that most names of a side share
is its prefix, if the names behind it are those of a model: several of the modules that a block
has, and one that no other model's block has in this place. One name fits by chance and decides
nothing.
"""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.models.layouts.naming import departures, named
from ckpttool.models.layouts.patterns import patterns_of
from ckpttool.models.layouts.prefixes import Votes
from ckpttool.models.layouts.readings import literal, read
from ckpttool.models.layouts.renames import NUMBER
from ckpttool.models.layouts.spellings import spellings_of
from ckpttool.models.layouts.wrappers import wrappers_in

if TYPE_CHECKING:
    from typing import Mapping, Sequence

    from ckpttool.models.family import Family
    from ckpttool.models.layouts.naming import Naming
    from ckpttool.models.layouts.prefixes import Rival
    from ckpttool.models.layouts.readings import Reading, Wrapper
    from ckpttool.models.layouts.renames import Claim
    from ckpttool.models.layouts.spellings import Spellings
    from ckpttool.tensors.catalogue import TensorInfo

# One name in this many must be claimed: a tower in a much larger model is not what the file is.
_LEAST_SHARE = 8
_BLOCK = f".{NUMBER}."
# Honest files have a few hundred patterns; a hostile one may not make us read a million.
_MOST_PATTERNS = 20_000
# A list of models has a few, and the blocks of a nested stack are no models.
_MOST_NUMBERED = 64


class Recognised(NamedTuple):
    """The convention that a checkpoint's names follow.

    Attributes:
        family: the models with these names.
        naming: the convention, and the prefix of each side.
        patterns: the pattern of each name, in order.
        counts: pattern -> number of names.
        claims: pattern -> what it stands for; one that nothing claims is not there.
        rivals: the prefixes that fit too.
    """

    family: Family
    naming: Naming
    patterns: Sequence[str]
    counts: Mapping[str, int]
    claims: Mapping[str, Chosen]
    rivals: tuple[Rival, ...]

    @property
    def layout(self) -> str:
        """What reports call the convention."""
        usual = {one.claim.canonical for one in self.claims.values() if one.rank == 0}
        claimed = [
            (one.reading, one.claim)
            for one in self.claims.values()
            if one.rank == 0 or one.claim.canonical not in usual  # else it stands aside
        ]
        return departures(self.naming, claimed)


class Chosen(NamedTuple):
    """The claim of a pattern that was chosen, and its rank among the claims on the same tensor."""

    claim: Claim
    rank: int
    reading: Reading


def recognise(
    names: Sequence[str],
    families: Sequence[Family],
    tensors: Mapping[str, TensorInfo] | None = None,
) -> Recognised | None:
    """Return the convention that ``names`` follow; ``None`` if it is not known.

    Args:
        names: all names of a file.
        families: the kinds of models that are known; of those that fit, the best is returned.
        tensors: by name, where they are at hand: then shapes tell wrappers from other tensors.
    """
    text = "\n".join(names)
    patterns: list[str] | None = None
    best: tuple[int, Recognised] | None = None
    for family in families:
        # one search in one text: most files of other models have no such word
        if not any(word in text for word in spellings_of(family).words):
            continue
        if patterns is None:
            patterns = patterns_of(names)
        found = _Search(names, list(patterns), family, tensors).result()
        if found is not None and (best is None or found[0] > best[0]):
            best = found
    return best[1] if best else None


class _Search:
    """The search for one family's names in a file."""

    def __init__(
        self,
        names: Sequence[str],
        patterns: list[str],
        family: Family,
        tensors: Mapping[str, TensorInfo] | None,
    ) -> None:
        self.names, self.patterns, self.family, self.tensors = names, patterns, family, tensors
        self.spellings = spellings_of(family)
        self.counts = _most_common(patterns)

    def result(self) -> tuple[int, Recognised] | None:
        """Return how many names are claimed, and the convention."""
        wrappers = wrappers_in(self.counts, self.spellings, self._example)
        self._write_numbers_out(wrappers)
        counts = self.counts
        readings = {
            pattern: reading
            for pattern in counts
            for reading in (read(pattern, self.spellings, wrappers),)
            if reading is not None and reading.claims and not _several_numbers(pattern, reading)
        }
        readings = _without_parts_of_forks(readings, self.spellings)
        votes = Votes(readings, counts, self.family, len(self.names))
        prefixes = votes.prefixes()
        if not prefixes:
            return None
        naming = named(self.family, self.spellings, readings, counts, prefixes)
        claims = _claims(readings, naming, self.family)
        total = sum(counts[pattern] for pattern in claims)
        if total * _LEAST_SHARE < len(self.names):
            return None
        rivals = votes.rivals(prefixes)
        return total, Recognised(self.family, naming, self.patterns, counts, claims, rivals)

    def _example(self, pattern: str) -> TensorInfo | None:
        if self.tensors is None:
            return None
        return self.tensors[self.names[self._first[pattern]]]

    @cached_property
    def _first(self) -> dict[str, int]:
        """Pattern -> place of the first name with it."""
        places = range(len(self.patterns) - 1, -1, -1)
        return dict(zip(reversed(self.patterns), places))

    def _write_numbers_out(self, wrappers: Sequence[Wrapper]) -> None:
        """Put back what is no block's number: of a prefix, of a layer in a Sequential.

        Where there are too many, the pattern stays as it is, and nothing claims it.
        """
        several: dict[str, Reading] = {}
        for pattern in self.counts:
            if NUMBER in pattern:
                reading = read(pattern, self.spellings, wrappers)
                if reading is not None and _several_numbers(pattern, reading):
                    several[pattern] = reading
        if not several:
            return
        places: dict[str, list[int]] = {}
        for place, pattern in enumerate(self.patterns):
            if pattern in several:
                places.setdefault(pattern, []).append(place)
        for pattern, where in places.items():
            exact = [literal(self.names[place], pattern, several[pattern]) for place in where]
            if len(set(exact)) <= _MOST_NUMBERED:
                for place, one in zip(where, exact):
                    self.patterns[place] = one
        self.counts = _most_common(self.patterns)


def _several_numbers(pattern: str, reading: Reading) -> bool:
    """Whether ``{n}`` stands for more than the number of the block."""
    return pattern.count(NUMBER) > (NUMBER in reading.spelled)


def _most_common(patterns: Sequence[str]) -> Mapping[str, int]:
    counts = Counter(patterns)
    return counts if len(counts) <= _MOST_PATTERNS else dict(counts.most_common(_MOST_PATTERNS))


def _without_parts_of_forks(
    readings: Mapping[str, Reading], spellings: Spellings
) -> dict[str, Reading]:
    """Leave out a fork's part of a tensor without the others: ``attn.v`` is not one beside a qk."""
    there: dict[tuple[str, str], set[str]] = {}
    places: dict[str, tuple[tuple[str, str], str]] = {}
    for pattern, reading in readings.items():
        stack, _, tail = reading.spelled.partition(_BLOCK)
        places[pattern] = (reading.prefix, stack), tail
        there.setdefault((reading.prefix, stack), set()).add(tail)
    return {
        pattern: reading
        for pattern, reading in readings.items()
        for place, tail in (places[pattern],)
        if spellings.forks.get(tail, frozenset()) <= there[place]
    }


def _claims(readings: Mapping[str, Reading], naming: Naming, family: Family) -> dict[str, Chosen]:
    """Return what each pattern stands for, of those whose prefix is that of their side."""
    found: dict[str, Chosen] = {}
    for pattern, reading in readings.items():
        choices = (
            Chosen(claim, rank, reading)
            for claim in reading.claims
            for rank in (_rank(claim, reading, naming, family.group_of(claim.canonical)),)
            if rank is not None
        )
        best = min(choices, key=lambda one: one.rank, default=None)
        if best is not None:
            found[pattern] = best
    return found


def _rank(claim: Claim, reading: Reading, naming: Naming, group: str) -> int | None:
    """Return how good a claim is, 0 for the best; ``None`` if the prefix is not the side's."""
    prefix, prefixes = reading.prefix, naming.prefixes
    if group in prefixes:
        if prefix == prefixes[group]:
            return 0 if naming.exact(claim, reading.spelled, group) else 1
        # the blocks of a model may lie deeper than what is outside of them, and never elsewhere
        return 2 if NUMBER not in reading.spelled and prefixes[group].startswith(prefix) else None
    # a part of which too little is there to be found by itself: where the convention puts it
    usual = naming.outermost + naming.own.get(group, "")
    near = any(one.startswith(prefix) for one in prefixes.values())
    return 2 if near or prefix == usual else None
