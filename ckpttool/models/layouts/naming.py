"""Which of a family's conventions names follow, and how they depart from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Mapping, NamedTuple

from ckpttool.models.layouts.renames import NUMBER
from ckpttool.models.layouts.spellings import module_of

if TYPE_CHECKING:
    from ckpttool.models.family import Family
    from ckpttool.models.layouts.readings import Reading
    from ckpttool.models.layouts.renames import Claim, Layout
    from ckpttool.models.layouts.spellings import Spellings

_BLOCK = f".{NUMBER}."
# Departures that are named; a name that departs in more ways is hardly one of this convention.
_MOST_SHOWN = 6


class Naming(NamedTuple):
    """A convention, and where its names begin.

    Attributes:
        layout: the convention that most names follow to the letter.
        own: group -> what this convention itself puts before the names of the group.
        prefixes: group -> what stands before the names of the group in this file, ``own`` included.
    """

    layout: Layout
    own: Mapping[str, str]
    prefixes: Mapping[str, str]

    def exact(self, claim: Claim, spelled: str, group: str) -> bool:
        """Whether the convention itself calls what is claimed so."""
        known = self.layout.claims.get(self.own.get(group, "") + spelled)
        return known is not None and known.canonical == claim.canonical

    def removed(self, prefix: str, group: str) -> str:
        """Return what of ``prefix`` is not the convention's: it is what was removed."""
        return _cut(prefix, self.own.get(group, ""), prefix)

    @property
    def outermost(self) -> str:
        """What stands before all of the convention: before its first group that is there."""
        for group, prefix in self.prefixes.items():
            return self.removed(prefix, group)
        return ""


def named(
    family: Family,
    spellings: Spellings,
    readings: Mapping[str, Reading],
    counts: Mapping[str, int],
    prefixes: Mapping[str, str],
) -> Naming:
    """Return the convention that most of the names behind ``prefixes`` follow.

    On a tie the layout that is first in its family is returned.
    """
    namings = [Naming(one, spellings.own[one.name], prefixes) for one in family.layouts]
    scores = [
        sum(
            counts[pattern]
            for pattern, reading in readings.items()
            if any(_follows(naming, reading, claim, family) for claim in reading.claims)
        )
        for naming in namings
    ]
    return namings[scores.index(max(scores))]


def _follows(naming: Naming, reading: Reading, claim: Claim, family: Family) -> bool:
    group = family.group_of(claim.canonical)
    return (
        naming.prefixes.get(group) == reading.prefix
        and reading.prefix.endswith(naming.own.get(group, ""))
        and naming.exact(claim, reading.spelled, group)
    )


def departures(naming: Naming, claimed: Iterable[tuple[Reading, Claim]]) -> str:
    """Return the convention's name, and what is spelled otherwise: for reports.

    Args:
        naming: the convention.
        claimed: what patterns stand for, in the order of the file.
    """
    said: dict[str, list[str]] = {}
    for reading, claim in claimed:
        wanted = naming.layout.spellings.get(claim.canonical, ())
        if not wanted:
            continue
        for found, usual in _differences(reading.spelled, [_core(one, naming) for one in wanted]):
            if reading.lacking:
                usual += f" ({reading.lacking})"
            stems = said.setdefault(usual, [])
            if found not in stems:
                stems.append(found)
    if not said:
        return naming.layout.name
    listed = [f"{_together(stems)} for {usual}" for usual, stems in said.items()]
    more = len(listed) - _MOST_SHOWN
    text = ", ".join(listed[:_MOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"{naming.layout.name} with {text}"


def _core(name: str, naming: Naming) -> str:
    """Return a name of the convention behind what it puts before a group."""
    longest = sorted(set(naming.own.values()), key=len, reverse=True)
    return next((name[len(own) :] for own in longest if own and name.startswith(own)), name)


def _differences(spelled: str, wanted: list[str]) -> Iterable[tuple[str, str]]:
    """Yield (what is found, what is usual) of a stack, and of a module or a tensor."""
    stack, block, tail = spelled.partition(_BLOCK)
    usual_stack, _, _ = wanted[0].partition(_BLOCK)
    if not block:
        if spelled not in wanted:
            yield _renamed(spelled, wanted)
        return
    if stack != usual_stack:
        yield stack, usual_stack
    usual = [one.partition(_BLOCK)[2] for one in wanted]
    if tail not in usual:
        yield _renamed(tail, usual)


def _renamed(found: str, usual: list[str]) -> tuple[str, str]:
    """Return what a module is called and usually is; whole names where these end otherwise."""
    stem, _, leaf = found.rpartition(".")
    if stem and all(one.endswith(f".{leaf}") for one in usual):
        return stem, _together([module_of(one) for one in usual])
    return found, _together(usual)


def _together(stems: list[str]) -> str:
    """Return names that differ in their last part as one: ``attn.q_proj+k_proj+v_proj``."""
    first, *others = dict.fromkeys(stems)
    before = f"{module_of(first)}."
    return "+".join(
        (first, *(one[len(before) :] if one.startswith(before) else one for one in others))
    )


def _cut(text: str, ending: str, otherwise: str) -> str:
    return text[: len(text) - len(ending)] if text.endswith(ending) else otherwise
