"""Recognising a checkpoint's naming convention and prefix, by the names alone."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.models.layouts.renames import generalise

if TYPE_CHECKING:
    from typing import Iterable, Mapping, Sequence

    from ckpttool.models.family import Family
    from ckpttool.models.layouts.renames import Claim, Layout

#: What wrappers put before a model's names: DataParallel, torch.compile, Lightning, mm*.
PREFIXES = ("module.", "_orig_mod.", "model.", "encoder.", "backbone.")

# One name in this many must be claimed, or the anchor was a coincidence: a Swin has a
# patch_embed.proj as well, and then nothing else of a layout.
_LEAST_SHARE = 8

# Honest files offer one to six; a hostile one may not make us count for ever.
_MAX_CANDIDATES = 16

_CHAIN = "(?:" + "|".join(map(re.escape, PREFIXES)) + ")*"


class Candidate(NamedTuple):
    """A layout that the names may follow, after ``prefix`` (``""`` for none)."""

    family: Family
    layout: Layout
    prefix: str


class Recognised(NamedTuple):
    """The convention that a checkpoint's names follow: a candidate that was accepted.

    Attributes:
        rows: each name with its pattern and block number, in order.
        claims: pattern (prefix included) -> what it stands for, ``None`` if nothing claims it.
    """

    family: Family
    layout: Layout
    prefix: str
    rows: Sequence[tuple[str, str, str]]
    claims: Mapping[str, Claim | None]


def recognise(
    names: Sequence[str], families: Sequence[Family]
) -> tuple[Recognised | None, tuple[str, ...]]:
    """Return the layout and prefix that claim most ``names``, and why others were refused.

    On a tie the layout that is first in its family wins, then the shorter prefix. A prefix
    whose removal would give two tensors one name is refused.
    """
    candidates = _candidates(names, families)
    if not candidates:
        return None, ()
    # names become patterns first: 100,000 tensors of blocks have a few dozen
    rows = [(name, *generalise(name)) for name in names]
    counts = Counter(pattern for _, pattern, _ in rows)
    claims = {candidate: _claims(candidate, counts) for candidate in candidates}
    score = {
        candidate: sum(counts[pattern] for pattern, claim in claims[candidate].items() if claim)
        for candidate in candidates
    }
    problems: list[str] = []
    # sorted() is stable, so on a tie the order of the candidates decides
    for candidate in sorted(candidates, key=lambda one: -score[one]):
        if score[candidate] * _LEAST_SHARE < len(names):
            break
        twice = _collision(names, candidate.prefix)
        if twice is None:
            return Recognised(*candidate, rows, claims[candidate]), tuple(problems)
        problems.append(
            f"the prefix {candidate.prefix} cannot be set aside: {twice} is there without it too"
        )
    return None, tuple(problems)


def strip(name: str, prefix: str) -> str:
    """Return ``name`` without ``prefix`` if it carries it."""
    return name[len(prefix) :] if name.startswith(prefix) else name


def _candidates(names: Sequence[str], families: Sequence[Family]) -> list[Candidate]:
    """Return the layouts and prefixes under which an anchor is among ``names``, best first."""
    spellings = [
        (family, layout, name)
        for family in families
        for layout in family.layouts
        for anchor in family.anchors
        for name in layout.names_of(anchor) or ()
    ]
    endings = tuple({name for *_, name in spellings})
    behind = re.compile(f"({_CHAIN})({'|'.join(map(re.escape, endings))})")
    # endswith is one quick call a name and leaves next to nothing for the expression
    ending = (name for name in names if name.endswith(endings))
    hits = {match.groups() for match in map(behind.fullmatch, ending) if match}
    prefixes = sorted({prefix for prefix, _ in hits}, key=lambda prefix: (len(prefix), prefix))
    found = dict.fromkeys(
        Candidate(family, layout, prefix)
        for family, layout, name in spellings
        for prefix in prefixes
        if (prefix, name) in hits
    )
    return list(found)[:_MAX_CANDIDATES]


def _claims(candidate: Candidate, patterns: Iterable[str]) -> dict[str, Claim | None]:
    # no prefix holds a number, so a pattern is stripped like a name
    claims, prefix = candidate.layout.claims, candidate.prefix
    return {pattern: claims.get(strip(pattern, prefix)) for pattern in patterns}


def _collision(names: Sequence[str], prefix: str) -> str | None:
    outside = [name for name in names if not name.startswith(prefix)]  # these keep their names
    if not outside:
        return None
    inside = set(names)
    return next((name for name in outside if prefix + name in inside), None)
