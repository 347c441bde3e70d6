"""What parts of a model may be called, taken from all conventions of a family together.

A convention is a whole table. A fork mixes them, for example the published names with query, key
and value apart. So each table is taken apart into what can be combined again: how a stack of blocks
is spelled, what a module of a block is called, and what the tensors outside of blocks are called.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.models.layouts.patterns import patterns_of
from ckpttool.models.layouts.renames import NUMBER, Claim, Join, generalise

if TYPE_CHECKING:
    from typing import Iterable, Mapping

    from ckpttool.models.family import Family, Shape
    from ckpttool.models.layouts.renames import Layout, NameRule

_BLOCK = f".{NUMBER}."


class Spellings(NamedTuple):
    """What the conventions of a family call its parts; names are cut behind a side's prefix.

    Attributes:
        stacks: spelling of a stack (``encoder.layer``) -> canonical stack.
        tails: spelling behind a block's number -> claim on a canonical name in a block.
        numbered: those that hold numbers of their own, with ``{n}`` for each.
        lacking: a tail of which files never hold all parts, so that they stay apart -> why.
        forks: a tail that no convention has -> all tails of the same tensor. Nothing is known by
            one of several, and no wrapper by one that is the only one.
        outers: spelling of a tensor outside of blocks -> claims, several where sides share it.
        own: layout's name -> group -> what the convention itself puts before the names of the
            group (``vit.``); a group is not there where the convention leaves it out.
        anchors: canonical patterns of which a part of the model must have one, and the names in
            a block that count for the blocks of every stack.
        modules: canonical stack -> modules of a block.
        dimensions: canonical pattern -> number of dimensions.
        words: parts of names without one of which no anchor is there.
        leaves: last parts of names.
        parts: every part that a spelling has between dots.
    """

    stacks: Mapping[str, str]
    tails: Mapping[str, Claim]
    numbered: frozenset[str]
    lacking: Mapping[str, str]
    forks: Mapping[str, frozenset[str]]
    outers: Mapping[str, tuple[Claim, ...]]
    own: Mapping[str, Mapping[str, str]]
    anchors: frozenset[str]
    modules: Mapping[str, frozenset[str]]
    dimensions: Mapping[str, int]
    words: tuple[str, ...]
    leaves: frozenset[str]
    parts: frozenset[str]


@lru_cache(maxsize=8)
def spellings_of(family: Family) -> Spellings:
    """Return what the conventions of ``family`` call its parts."""
    stacks: dict[str, str] = {}
    tails: dict[str, Claim] = {}
    lacking: dict[str, str] = {}
    forks: dict[str, frozenset[str]] = {}
    outers: dict[str, dict[Claim, None]] = {}
    own: dict[str, dict[str, str]] = {}
    tables: list[tuple[str | None, Iterable[NameRule]]] = [
        (layout.name, layout.rules) for layout in family.layouts
    ]
    tables.append((None, family.load_alternatives()))
    for name, rules in tables:
        before = {} if name is None else _own_prefixes(family, rules)
        if name is not None:
            own[name] = before
        for rule in rules:
            cut = len(before.get(family.group_of(rule.canonical), ""))
            for claim, other in _claims(rule):
                stack, block, tail = other[cut:].partition(_BLOCK)
                if not block:
                    outers.setdefault(stack, {})[claim] = None
                    continue
                canonical_stack, _, role = claim.canonical.partition(_BLOCK)
                stacks.setdefault(stack, canonical_stack)
                if name is None and tail not in tails:
                    parts = [one.partition(_BLOCK)[2] for one in rule.others if one]
                    forks[tail] = frozenset(parts)
                tails.setdefault(tail, claim._replace(canonical=role))
                if isinstance(rule, Join) and rule.lacking:
                    lacking[tail] = rule.lacking
    anchors = frozenset(generalise(name)[0].rpartition(_BLOCK)[2] for name in family.anchors)
    spelled = [*stacks, *tails, *outers]
    return Spellings(
        stacks,
        tails,
        frozenset(one for one in patterns_of(list(tails)) if NUMBER in one),
        lacking,
        forks,
        {other: tuple(claims) for other, claims in outers.items()},
        own,
        anchors,
        _modules(family.layouts[0]),
        _dimensions(family),
        _words(tails, outers, anchors),
        frozenset(other.rpartition(".")[2] for other in (*tails, *outers)),
        frozenset(part for other in (*spelled, NUMBER) for part in other.split(".")),
    )


def _claims(rule: NameRule) -> Iterable[tuple[Claim, str]]:
    """Yield what each of a rule's names stands for; a join may have parts that no file holds."""
    others = rule.others
    for part, other in enumerate(others):
        if other:
            yield Claim(rule.canonical, part, len(others)), other


def _own_prefixes(family: Family, rules: Iterable[NameRule]) -> dict[str, str]:
    """Return group -> the segments with which all names of the group begin, a dot behind each.

    Only of groups with blocks: the names of a head begin with that of its only module.
    """
    shared: dict[str, list[str]] = {}
    with_blocks = set(family.stacks.values())
    for rule in rules:
        group = family.group_of(rule.canonical)
        if group not in with_blocks:
            continue
        for other in rule.others:
            segments = other.partition(_BLOCK)[0].split(".")[:-1]
            known = shared.setdefault(group, segments)
            same = 0
            while same < min(len(known), len(segments)) and known[same] == segments[same]:
                same += 1
            shared[group] = known[:same]
    return {group: "".join(f"{one}." for one in segments) for group, segments in shared.items()}


def _modules(layout: Layout) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for pattern in layout.spellings:
        stack, block, role = pattern.partition(_BLOCK)
        if block:
            found.setdefault(stack, set()).add(module_of(role))
    return {stack: frozenset(modules) for stack, modules in found.items()}


def _dimensions(family: Family) -> dict[str, int]:
    shapes: Mapping[str, Shape] = family.shapes(family.sizes[family.default])
    return {generalise(name)[0]: len(shape) for name, shape in shapes.items()}


def _words(
    tails: Mapping[str, Claim], outers: Mapping[str, Iterable[Claim]], anchors: frozenset[str]
) -> tuple[str, ...]:
    spelled = [other for other, claim in tails.items() if claim.canonical in anchors]
    spelled += [
        other
        for other, claims in outers.items()
        if any(claim.canonical in anchors for claim in claims)
    ]
    # the longest part says most: "embeddings" is in the names of every language model
    return tuple(dict.fromkeys(max(other.split(".")[:-1] or [other], key=len) for other in spelled))


def module_of(name: str) -> str:
    """Return a name without its last part: the module that has the tensor."""
    return name.rpartition(".")[0]
