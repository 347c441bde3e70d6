"""What a pattern of names stands for: behind a prefix, and with wrappers inside of it taken out.

A wrapper is a string that a module around another puts inside of names, see ``wrappers``.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple, Tuple

from ckpttool.models.layouts.renames import NUMBER

if TYPE_CHECKING:
    from typing import Iterator, Sequence

    from ckpttool.models.layouts.renames import Claim
    from ckpttool.models.layouts.spellings import Spellings

#: A wrapper: its parts between dots.
Wrapper = Tuple[str, ...]

# What is longer is in no convention, and would be a long search.
_LONGEST_NAME = 16
_LONGEST_WRAPPER = 3
# A stack, or a tensor outside of blocks, has so many parts in a convention's names.
_LONGEST_SPELLING = 4


class Reading(NamedTuple):
    """What a pattern stands for.

    Attributes:
        prefix: what stands before the name, wrappers in it included: ``module.``, or ``""``.
        spelled: the name behind it, without wrappers, as a convention spells it.
        claims: what it stands for, several where sides of the model share the spelling.
        inside: the wrappers that were taken out.
        lacking: why files of this spelling never hold all parts of it; empty if they do.
    """

    prefix: str
    spelled: str
    claims: tuple[Claim, ...]
    inside: tuple[str, ...] = ()
    lacking: str = ""


class _Parts(NamedTuple):
    """The parts of a pattern, and which of them are left without wrappers."""

    every: list[str]
    kept: list[int]
    removed: list[tuple[int, Wrapper]]

    def spell(self, chosen: Sequence[int]) -> str:
        return ".".join([self.every[place] for place in chosen])

    def prefix(self, first: int) -> str:
        return "".join([f"{one}." for one in self.every[:first]])

    def inside(self, first: int) -> tuple[str, ...]:
        found = [".".join(wrapper) for place, wrapper in self.removed if place > first]
        return tuple(dict.fromkeys(found))


def read(pattern: str, spellings: Spellings, wrappers: Sequence[Wrapper] = ()) -> Reading | None:
    """Return what a pattern stands for; ``None`` if nothing is called so.

    ``{n}`` is the number of a block. Where it stands several times, the first that can be one is.
    """
    if not may_be_read(pattern, spellings):
        return None
    every = pattern.split(".")
    for taken_out in (wrappers, ()) if wrappers else ((),):
        parts = _without(every, taken_out)
        found = _read(parts, spellings)
        if found is not None:
            return found
    return None


def literal(name: str, pattern: str, reading: Reading) -> str:
    """Return the pattern of ``name`` with ``{n}`` for the block's number alone.

    Args:
        name: one of the names.
        pattern: its pattern, with ``{n}`` for every number.
        reading: what the pattern stands for.
    """
    if NUMBER not in reading.spelled:
        return name
    parts = name.split(".")
    before = reading.prefix.count(".")
    parts[next(place for place in _numbers(pattern.split(".")) if place > before)] = NUMBER
    return ".".join(parts)


def _read(parts: _Parts, spellings: Spellings) -> Reading | None:
    for place in _numbers(parts.every):
        tail = parts.spell([one for one in parts.kept if one > place])
        claim = spellings.tails.get(tail)
        if claim is None and tail not in spellings.numbered:
            continue
        stack = _stack(parts, place, spellings)
        if stack is None:
            continue
        spelled, first = stack
        claims: tuple[Claim, ...] = ()
        if claim is not None:
            canonical = f"{spellings.stacks[spelled]}.{NUMBER}.{claim.canonical}"
            if canonical not in spellings.dimensions:
                continue
            claims = (claim._replace(canonical=canonical),)
        whole = f"{spelled}.{NUMBER}.{tail}"
        lacking = spellings.lacking.get(tail, "")
        return Reading(parts.prefix(first), whole, claims, parts.inside(first), lacking)
    for length in range(min(_LONGEST_SPELLING, len(parts.kept)), 0, -1):
        chosen = parts.kept[-length:]
        outer = parts.spell(chosen)
        if outer in spellings.outers:
            first = chosen[0]
            return Reading(parts.prefix(first), outer, spellings.outers[outer], parts.inside(first))
    return None


def _stack(parts: _Parts, place: int, spellings: Spellings) -> tuple[str, int] | None:
    """Return the spelling of the stack that ends before ``place``, and where it begins."""
    head = [one for one in parts.kept if one < place]
    for length in range(min(_LONGEST_SPELLING, len(head)), 0, -1):
        spelled = parts.spell(head[-length:])
        if spelled in spellings.stacks:
            return spelled, head[-length]
    return None


def _numbers(parts: Sequence[str]) -> list[int]:
    return [place for place, part in enumerate(parts) if part == NUMBER]


def _without(every: list[str], wrappers: Sequence[Wrapper]) -> _Parts:
    kept: list[int] = []
    removed: list[tuple[int, Wrapper]] = []
    place = 0
    while place < len(every):
        for wrapper in wrappers:
            if tuple(every[place : place + len(wrapper)]) == wrapper:
                removed.append((place, wrapper))
                place += len(wrapper)
                break
        else:
            kept.append(place)
            place += 1
    return _Parts(every, kept, removed)


def may_be_read(pattern: str, spellings: Spellings) -> bool:
    """Whether a pattern ends as names of the family do, and is not too long for any."""
    return pattern.rpartition(".")[2] in spellings.leaves and pattern.count(".") < _LONGEST_NAME


def wrapped(
    pattern: str, spellings: Spellings, known: Sequence[Wrapper], together: int
) -> Iterator[tuple[tuple[Wrapper, ...], Reading]]:
    """Yield what makes a pattern readable if it is taken out, and the reading.

    Args:
        pattern: one that has no reading without ``known``.
        spellings: what a family calls its parts.
        known: the wrappers that were found before; they are taken out too.
        together: how many further wrappers are taken out.
    """
    every = pattern.split(".")
    runs = {
        tuple(every[place : place + length]): None
        for length in range(1, _LONGEST_WRAPPER + 1)
        for place in range(1, len(every) - length)
    }
    # a part that conventions use too is not taken out: "attn.norm1" is not "norm1"
    strange = [run for run in runs if not any(one in spellings.parts for one in run)]
    for wrappers in combinations(strange, together):
        found = _read(_without(every, (*known, *wrappers)), spellings)
        if found is None:
            continue
        # "mlp_tokens.fc1" of an MLP-Mixer is not the "fc1" of a fork; three parts are no chance
        if len(spellings.forks.get(found.spelled.partition(f".{NUMBER}.")[2], ())) == 1:
            continue
        if all(".".join(one) in found.inside for one in wrappers):
            yield wrappers, found
