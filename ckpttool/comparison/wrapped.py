"""Finds names that differ only in what a wrapper puts before them or inside of them.

No wrapper is known by name. A string is one if names of the other file are left where it is
taken out: ``module.`` before all names, ``backbone.`` before some, ``base_layer.`` inside of a few.
"""

from __future__ import annotations

from collections import Counter
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ckpttool.models.layouts.patterns import patterns_of
from ckpttool.models.layouts.renames import NUMBER

if TYPE_CHECKING:
    from typing import Collection, Iterator, Mapping, Sequence

# What is longer, or has more kinds of names, is no model, and would be a long search.
_MOST_PARTS = 16
_LONGEST_INSIDE = 3
_MOST_PATTERNS = 2_000
_MOST_FOUND = 8
# So many names fit by chance where the most of those with the string before them do not.
_BY_CHANCE = 3


class Shaped(Protocol):
    """A tensor, or what is known of one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of its axes."""


class _Text(NamedTuple):
    """A string that could be a wrapper's, on one side; ``text`` has a dot behind it."""

    side: int
    text: str
    inside: bool

    def removed(self, name: str) -> str | None:
        """Return a name without the string; ``None`` if it is not there, or all of the name."""
        if not self.inside:
            return name[len(self.text) :] if name.startswith(self.text) else None
        before, found, after = name.partition(f".{self.text}")
        # twice inside: around a block and again around a layer of it
        return f"{before}.{after.replace(f'.{self.text}', '.')}" if found and before else None


def without_wrappers(left: Mapping[str, Shaped], right: Mapping[str, Shaped]) -> dict[str, str]:
    """Return left name -> right name, of names that differ only in what wrappers put into them.

    Names that both sides have are left alone. Only one to one: of two names that become the same,
    neither is known to be the partner.
    """
    return _Search(left, right).run()


class _Search:
    """The names of two files that are not the same, and what is left of them."""

    def __init__(self, left: Mapping[str, Shaped], right: Mapping[str, Shaped]) -> None:
        self.sides = (left, right)
        # what is left of a name -> the name
        self.names = [
            {name: name for name in here if name not in there}
            for here, there in ((left, right), (right, left))
        ]
        self.pairs: dict[str, str] = {}

    def run(self) -> dict[str, str]:
        """Return left name -> right name."""
        tried: set[_Text] = set()
        while all(self.names) and len(tried) < _MOST_FOUND:
            best = self._best(tried)
            # with so many that make as many names fit, none of them is a wrapper
            if not best or len(best) > _MOST_FOUND:
                break
            tried.update(best)
            made = [self._pairs(text) for text in best]
            for text, pairs in zip(best, made):
                if self._is_enough(text, pairs) and not _conflict(pairs, made):
                    self._take(text, pairs)
        if all(self.names) and not self.pairs:
            self._behind_both()
        return self.pairs

    def _best(self, tried: set[_Text]) -> list[_Text]:
        """Return the strings that make most names fit: several that make as many."""
        votes: Counter[_Text] = Counter()
        kinds = [_Kinds.of(names, side) for names, side in zip(self.names, self.sides)]
        for side, (here, there) in enumerate((kinds, reversed(kinds))):
            for pattern in here.counts:
                for text, rest in _texts(side, pattern, here.example[pattern]):
                    if rest not in there.counts or text in tried:
                        continue
                    if text.inside and here.shape(pattern) != there.shape(rest):
                        continue  # an adapter's matrix inside of the layer that it belongs to
                    votes[text] += min(here.counts[pattern], there.counts[rest])
        most = max(votes.values(), default=0)
        best = [text for text, number in votes.items() if number == most]
        return sorted(best, key=lambda text: (len(text.text), text.text))

    def _pairs(self, text: _Text) -> dict[str, str]:
        """Return what is left of a left name -> of a right name, for names that fit then."""
        here, there = self.names[text.side], self.names[1 - text.side]
        found = {}
        for name in here:
            rest = text.removed(name)
            if rest is not None and rest in there:
                left, right = (name, rest) if text.side == 0 else (rest, name)
                found[left] = right
        return found

    def _is_enough(self, text: _Text, pairs: Mapping[str, str]) -> bool:
        """Whether that many names do not fit by chance."""
        having = sum(text.removed(name) is not None for name in self.names[text.side])
        return len(pairs) > _BY_CHANCE or 2 * len(pairs) >= having

    def _take(self, text: _Text, pairs: Mapping[str, str]) -> None:
        left, right = self.names
        for one, other in pairs.items():
            self.pairs[left.pop(one)] = right.pop(other)
        # inside of names behind a prefix there may be more: PEFT has both
        here = self.names[text.side]
        for name in list(here):
            rest = text.removed(name)
            if rest and rest not in here:
                here[rest] = here.pop(name)

    def _behind_both(self) -> None:
        """Pair the names of two files of which each has all names behind a string of its own."""
        if any(len(names) < len(side) for names, side in zip(self.names, self.sides)):
            return
        before = [_shared(names) for names in self.names]
        kinds = [_Kinds.of(names, side).counts for names, side in zip(self.names, self.sides)]
        best: tuple[int, list[str]] = 0, ["", ""]
        for one in before[0]:
            here = {pattern[len(one) :] for pattern in kinds[0]}
            for other in before[1]:
                fitting = sum(pattern[len(other) :] in here for pattern in kinds[1])
                if fitting > best[0]:
                    best = fitting, [one, other]
        bare = [
            {name[len(text) :]: name for name in names} for names, text in zip(self.names, best[1])
        ]
        both = bare[0].keys() & bare[1].keys()
        if best[0] > 1 and len(both) > _BY_CHANCE:
            self.pairs.update({bare[0][rest]: bare[1][rest] for rest in bare[0] if rest in both})


class _Kinds(NamedTuple):
    """The patterns of names: how many names each has, one of them, and its tensor's shape."""

    counts: Mapping[str, int]
    example: Mapping[str, str]
    tensors: Mapping[str, Shaped]
    names: Mapping[str, str]

    @classmethod
    def of(cls, names: Mapping[str, str], tensors: Mapping[str, Shaped]) -> _Kinds:
        """Return the patterns of what is left of names."""
        patterns = patterns_of(list(names))
        counts = dict(Counter(patterns).most_common(_MOST_PATTERNS))
        return cls(counts, dict(zip(patterns, names)), tensors, names)

    def shape(self, pattern: str) -> tuple[int, ...]:
        return self.tensors[self.names[self.example[pattern]]].shape


def _texts(side: int, pattern: str, example: str) -> Iterator[tuple[_Text, str]]:
    """Yield each string that could be taken out of a pattern, and what is left of it."""
    parts, literal = pattern.split("."), example.split(".")
    if len(parts) > _MOST_PARTS:
        return
    for start in range(len(parts) - 1):
        for length in range(1, len(parts) - start):
            if start and length > _LONGEST_INSIDE:
                break
            run = literal[start : start + length]
            if start and NUMBER in parts[start : start + length]:
                break
            rest = ".".join((*parts[:start], *parts[start + length :]))
            yield _Text(side, ".".join(run) + ".", start > 0), rest


def _conflict(pairs: Mapping[str, str], made: Sequence[Mapping[str, str]]) -> bool:
    """Whether a name has another partner by another string that makes as many names fit."""
    for others in made:
        if others is not pairs:
            back = {right: left for left, right in others.items()}
            if any(
                others.get(left, right) != right or back.get(right, left) != left
                for left, right in pairs.items()
            ):
                return True
    return False


def _shared(names: Collection[str]) -> list[str]:
    """Return what all names begin with, up to each dot, the shortest first; ``""`` is not there."""
    first, last = min(names).split("."), max(names).split(".")
    same = (one == other for one, other in zip(first[:-1], last[:-1]))
    parts = first[: sum(1 for _ in takewhile(bool, same))][:_MOST_PARTS]
    return [".".join(parts[:number]) + "." for number in range(1, len(parts) + 1)]
