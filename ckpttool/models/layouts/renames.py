"""The rules of a naming convention: renames, joins, and tensors that it has no name for.

Names are full ones (``blocks.{n}.norm1.weight``); ``{n}`` is a block's number, once at most.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Union

if TYPE_CHECKING:
    from typing import Iterable

#: Stands for a block's number in a pattern.
NUMBER = "{n}"

# The first number between dots is the block's: "layers.7.ffn.layers.0.0.weight" is of block 7.
# A number with a leading zero is another name, or two names would become one.
_BLOCK = re.compile(r"\.(0|[1-9][0-9]*)\.")


class Rename(NamedTuple):
    """One tensor, two names."""

    canonical: str
    other: str

    @property
    def others(self) -> tuple[str, ...]:
        """The other side's names, in order."""
        return (self.other,)


class Join(NamedTuple):
    """One canonical tensor that the other side keeps in equal ``parts``: its rows, in order.

    Axis 0 of row-major data is contiguous, so joining concatenates extents and copies nothing.
    A part that the other side does not hold, since it is zeros, is ``""``, and ``lacking`` is what
    is said of it.
    """

    canonical: str
    parts: tuple[str, ...]
    lacking: str = ""

    @property
    def others(self) -> tuple[str, ...]:
        """The other side's names, in order."""
        return self.parts


class Dropped(NamedTuple):
    """A canonical tensor that the convention has no name for, so that tables stay total."""

    canonical: str

    @property
    def others(self) -> tuple[str, ...]:
        """The other side's names: none."""
        return ()


NameRule = Union[Rename, Join, Dropped]


class Claim(NamedTuple):
    """What a name stands for: ``part`` (from 0) of the ``parts`` of a canonical tensor."""

    canonical: str
    part: int
    parts: int


class Layout:
    """One naming convention.

    Attributes:
        name: what reports call it.
        rules: the table.
        claims: pattern of the convention -> claim on a canonical pattern.
        spellings: canonical pattern -> patterns of the convention, ``()`` where it is dropped.

    Raises:
        ValueError: two rules speak of the same name, so the table cannot be reversed.
    """

    def __init__(self, name: str, rules: Iterable[NameRule]) -> None:
        self.name = name
        self.rules = tuple(rules)
        self.claims: dict[str, Claim] = {}
        self.spellings: dict[str, tuple[str, ...]] = {}
        for rule in self.rules:
            twice = [pattern for pattern in rule.others if pattern in self.claims]
            if twice or rule.canonical in self.spellings:
                raise ValueError(f"layout {name}: two rules for {twice or rule.canonical}")
            self.spellings[rule.canonical] = rule.others
            for part, pattern in enumerate(rule.others):
                self.claims[pattern] = Claim(rule.canonical, part, len(rule.others))

    def names_of(self, canonical: str) -> tuple[str, ...] | None:
        """Return this convention's names for a canonical one, in the order of the parts.

        ``()`` is a tensor that the convention leaves out, ``None`` a name that it does not know.
        """
        pattern, number = generalise(canonical)
        others = self.spellings.get(pattern)
        return others and tuple(other.replace(NUMBER, number) for other in others)

    def __repr__(self) -> str:
        return f"Layout({self.name!r}, {len(self.rules)} rules)"


def generalise(name: str) -> tuple[str, str]:
    """Return the pattern of a name and its block's number: ``("blocks.{n}.norm1.bias", "7")``.

    The number is ``""`` for a name without one.
    """
    match = _BLOCK.search(name)
    if match is not None:
        return f"{name[: match.start()]}.{NUMBER}.{name[match.end() :]}", match.group(1)
    # A file may spell "{n}" itself. A second one makes it a pattern that is in no table.
    return (name + NUMBER if NUMBER in name else name), ""


def module(canonical: str, other: str | None = None) -> tuple[Rename, ...]:
    """Return the renames of a module's weight and bias; without ``other`` the names agree."""
    return tuple(
        Rename(f"{canonical}.{leaf}", f"{canonical if other is None else other}.{leaf}")
        for leaf in ("weight", "bias")
    )


def joined(canonical: str, parts: Iterable[str]) -> tuple[Join, ...]:
    """Return the joins of the weights and the biases of several modules."""
    stems = tuple(parts)
    return tuple(
        Join(f"{canonical}.{leaf}", tuple(f"{stem}.{leaf}" for stem in stems))
        for leaf in ("weight", "bias")
    )


def under(canonical: str, other: str, rules: Iterable[NameRule]) -> tuple[NameRule, ...]:
    """Return ``rules`` with each side's names put behind a prefix of its own."""
    return tuple(_prefixed(rule, canonical, other) for rule in rules)


def _prefixed(rule: NameRule, canonical: str, other: str) -> NameRule:
    whole = canonical + rule.canonical
    if isinstance(rule, Join):
        return Join(whole, tuple(part and other + part for part in rule.parts), rule.lacking)
    return Rename(whole, other + rule.other) if isinstance(rule, Rename) else Dropped(whole)
