"""What is gone from many numbered names, in words: layers and experts, counted.

Nothing is known of a model here. What stands before a number in a name (``model.layers``) is a
stack, each number of it a unit (``model.layers.17``), and what stands behind is a part of that
unit. A stack may lie in a unit of another one, as the experts of a layer do.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Callable, Collection, Dict, List, NamedTuple, Sequence, Set, Tuple

from ckpttool.findings.names import runs, summarise
from ckpttool.findings.text import count

_NUMBER = re.compile(r"\.(0|[1-9][0-9]{0,8})(?=\.|\Z)", re.ASCII)
# A longer name, or one with more numbers, is of no model, and more different beginnings of names
# would take long. They are not put into words.
_LONGEST, _MOST_NUMBERS, _MOST_BEGINNINGS = 200, 6, 500_000
_MOST_SAID = 3  # holes, and parts of units in each
_MOST_ALONE = 2  # names beside them that are said
_MOST_WHICH = 40  # characters of the numbers that are gone
_WORD = re.compile(r"[A-Za-z_]{3,30}")
_MANY = re.compile(r"[^s]s\Z|(block|expert|layer|level|stage)\Z")


class Hole(NamedTuple):
    """Names that are alike: parts of some units, or all of some, or a module.

    Attributes:
        stacks: what the units are numbered in; none where it is a module.
        units: how many units it is about.
        all_units: how many there are in these stacks.
        which: the numbers of the units, as ranges; ``""`` where there are several stacks.
        parts: what of each unit, none for all of it; or the module.
        names: how many there are.
    """

    stacks: Tuple[str, ...]
    units: int
    all_units: int
    which: str
    parts: Tuple[str, ...]
    names: int

    @property
    def is_whole(self) -> bool:
        """Whether it is all of units or of a module, and not a part of each unit."""
        return not (self.stacks and self.parts)


def missing_in_words(gone: Sequence[str], every: Collection[str]) -> str:
    """Say which layers, experts or modules lack what is gone.

    Args:
        gone: the names that are missing.
        every: all names, those included.

    Returns:
        ``layer 17 of model.layers is missing whole (9 tensors)``, several with semicolons between
        them; ``""`` where there is nothing to say beside the names.
    """
    return _said(gone, every, _as_missing)


def places_in_words(those: Sequence[str], every: Collection[str]) -> str:
    """Say where some of the names lie: ``mlp.up_proj.weight in 3 of 30 layers of model.layers``."""
    return _said(those, every, _as_place)


def holes_of(gone: Sequence[str], every: Collection[str]) -> Tuple[List[Hole], List[str]]:
    """Return what names have in common, whole units first, and those that have nothing."""
    counted = _Counted(gone, every)
    modules: Counter[str] = Counter()
    # stack without its numbers, part -> stack -> unit -> how many names
    found: Dict[Tuple[str, str], Dict[str, Counter[int]]] = {}
    alone: List[str] = []
    for name in gone:
        place = counted.place_of(name)
        if place is None:
            alone.append(name)
        elif place.unit is None:
            modules[place.stack] += 1
        else:
            key = (_NUMBER.sub(".", place.stack), place.part)
            found.setdefault(key, {}).setdefault(place.stack, Counter())[place.unit] += 1
    holes = [Hole((), 0, 0, "", (module,), number) for module, number in modules.items()]
    alike: Dict[object, List[Tuple[str, Dict[str, Counter[int]]]]] = {}
    for (_, part), places in found.items():  # parts that the same units lack are one hole
        units = tuple((stack, tuple(sorted(numbers))) for stack, numbers in places.items())
        alike.setdefault((bool(part), units), []).append((part, places))
    holes += [_hole(counted, group) for group in alike.values()]
    return sorted(holes, key=lambda hole: (not hole.is_whole, -hole.names)), alone


def _hole(counted: _Counted, alike: Sequence[Tuple[str, Dict[str, Counter[int]]]]) -> Hole:
    stacks = alike[0][1]
    which = ", ".join(runs(sorted(next(iter(stacks.values()))))) if len(stacks) == 1 else ""
    return Hole(
        tuple(stacks),
        sum(map(len, stacks.values())),
        sum(len(counted.units[stack]) for stack in stacks),
        which if len(which) <= _MOST_WHICH else "",
        tuple(part for part, _ in alike if part),
        sum(sum(units.values()) for _, places in alike for units in places.values()),
    )


# --- where names lie ----------------------------------------------------------------------


class _Place(NamedTuple):
    """Where a name lies: in a part of a unit, all of a unit (no part), or a module (no unit)."""

    stack: str
    unit: int | None = None
    part: str = ""


class _Counted:
    """How many names begin alike, of those that are gone and of all; and which units there are."""

    def __init__(self, gone: Sequence[str], every: Collection[str]) -> None:
        self.units: Dict[str, Set[int]] = {}
        self._gone: Dict[str, int] = {}
        self._every: Dict[str, int] = {}
        self._having: Dict[Tuple[str, str], int] = {}  # stack and part -> units that have it
        for name in gone:
            numbers = _numbers_in(name)
            for beginning in _beginnings(name, numbers):
                self._gone[beginning] = self._gone.get(beginning, 0) + 1
            for one in numbers:
                self._having[name[: one.start()], name[one.end() + 1 :]] = 0
            if len(self._gone) + len(self._having) > _MOST_BEGINNINGS:
                self._gone.clear()
                self._having.clear()
                return
        for name in every:
            self._count(name)

    def _count(self, name: str) -> None:
        """Count one of all names. A beginning that is not one of a gone name ends it: none is then.

        It is called for a million names, and so looks at no more of one than it has to.
        """
        beginning = _module(name)
        if beginning not in self._gone:
            return
        self._every[beginning] = self._every.get(beginning, 0) + 1
        for one in _numbers_in(name):
            stack, unit = name[: one.start()], name[: one.end()]
            if stack not in self._gone:
                return
            if stack != beginning:  # the module, or the unit around it, which was counted
                self._every[stack] = self._every.get(stack, 0) + 1
            self.units.setdefault(stack, set()).add(int(one[1]))
            key = (stack, name[one.end() + 1 :])
            if key in self._having:
                self._having[key] += 1
            if unit not in self._gone:
                return
            self._every[unit] = self._every.get(unit, 0) + 1
            beginning = unit

    def place_of(self, name: str) -> _Place | None:
        """Return the outermost place that is gone whole, else the innermost of many units."""
        numbers = _numbers_in(name)
        if self._is_whole(_module(name)):
            return _Place(_module(name))
        for place, one in enumerate(numbers):
            stack, unit = name[: one.start()], int(one[1])
            if self._is_whole(stack):
                return self._part_of_a_unit(name, numbers[:place], one.start()) or _Place(stack)
            if len(self.units.get(stack, ())) > 1 and self._is_whole(name[: one.end()], 1):
                return _Place(stack, unit)
        return self._part_of_a_unit(name, numbers, len(name))

    def _part_of_a_unit(
        self, name: str, numbers: Sequence[re.Match[str]], end: int
    ) -> _Place | None:
        for one in reversed(numbers):
            stack, part = name[: one.start()], name[one.end() + 1 : end]
            # numbers may also count unlike things, for example a layer's two halves
            alike = end < len(name) or self._having.get((stack, part), 0) > 1
            if part and alike and len(self.units.get(stack, ())) > 1:
                return _Place(stack, int(one[1]), part)
        return None

    def _is_whole(self, beginning: str, fewest: int = 2) -> bool:
        gone = self._gone.get(beginning, 0)
        return gone >= fewest and gone == self._every.get(beginning)


def _numbers_in(name: str) -> Sequence[re.Match[str]]:
    if not _is_plain(name):
        return ()
    numbers = tuple(_NUMBER.finditer(name))
    return numbers if len(numbers) <= _MOST_NUMBERS else ()


def _module(name: str) -> str:
    return name.partition(".")[0] if _is_plain(name) else ""


def _is_plain(name: str) -> bool:
    return len(name) <= _LONGEST and name.isprintable()


def _beginnings(name: str, numbers: Sequence[re.Match[str]]) -> Set[str]:
    ends = {end for one in numbers for end in (one.start(), one.end())}
    return {_module(name), *(name[:end] for end in ends)}


# --- the words ------------------------------------------------------------------------------


def _said(gone: Sequence[str], every: Collection[str], words: Callable[[Hole, str], str]) -> str:
    holes, alone = holes_of(gone, every)
    if not holes:
        return ""
    said = []
    for hole in holes[:_MOST_SAID]:
        obvious = hole.names == len(gone) or (not hole.is_whole and hole.names == hole.units)
        said.append(words(hole, "" if obvious else count(hole.names, "tensor")))
    rest = sum(hole.names for hole in holes[_MOST_SAID:]) + len(alone)
    if rest:
        few = rest == len(alone) <= _MOST_ALONE and all(map(_is_plain, alone))
        said.append(f"and {' and '.join(alone) if few else count(rest, 'other tensor')}")
    return "; ".join(said)


def _as_missing(hole: Hole, tensors: str) -> str:
    if not hole.stacks:
        return f"{hole.parts[0]} is missing whole{_aside(tensors)}"
    one = hole.units == 1
    if hole.parts:
        lack = "lacks" if one else "lack"
        return f"{_units(hole)} {lack} {_parts(hole)}{_aside(_numbers(hole), tensors)}"
    if one and hole.which:
        unit = f"{_noun(hole, 1)} {hole.which} of {hole.stacks[0]}"
        return f"{unit} is missing whole{_aside(tensors)}"
    return f"{_units(hole)} are missing whole{_aside(_numbers(hole), tensors)}"


def _as_place(hole: Hole, tensors: str) -> str:
    if not hole.stacks:
        return f"all of {hole.parts[0]}{_aside(tensors)}"
    if hole.parts:
        return f"{_parts(hole)} in {_units(hole)}{_aside(_numbers(hole), tensors)}"
    if hole.units == 1 and hole.which:
        return f"all of {_noun(hole, 1)} {hole.which} of {hole.stacks[0]}{_aside(tensors)}"
    return f"{_units(hole)}, all of each{_aside(_numbers(hole), tensors)}"


def _units(hole: Hole) -> str:
    """Return ``2 of 64 experts of model.layers.3.mlp.experts``."""
    number = f"{hole.units:,} of {hole.all_units:,}"
    if hole.units == hole.all_units:
        number = f"all {hole.units:,}"
    return f"{number} {_noun(hole, hole.all_units)} of {summarise(hole.stacks, 2)}"


def _noun(hole: Hole, number: int) -> str:
    """Return what a unit of the stacks is called, by their last word if that is one for it."""
    word = hole.stacks[0].rpartition(".")[2]
    if not _WORD.fullmatch(word) or not _MANY.search(word):
        word = "item"
    word = word[:-1] if word.endswith("s") else word
    return word if number == 1 else f"{word}s"


def _parts(hole: Hole) -> str:
    return summarise(hole.parts, _MOST_SAID)


def _numbers(hole: Hole) -> str:
    told = hole.which and hole.units < hole.all_units
    return f"{_noun(hole, hole.units)} {hole.which}" if told else ""


def _aside(*texts: str) -> str:
    told = "; ".join(filter(None, texts))
    return f" ({told})" if told else ""


def clause(words: str) -> str:
    """Return words as the end of a message; nothing for none."""
    return f": {words}" if words else ""
