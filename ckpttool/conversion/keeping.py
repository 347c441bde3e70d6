"""Chooses the name under which a tied tensor is stored, in a format that stores it once.

A reader finds a tensor only under the names that its model has. The base class of a model has no
head, and some models do not restore a missing embedding from the head, so the embedding's name is
the safe one. In nearly all state dicts it comes first, and ``save_pretrained`` of transformers 4
goes by that order; in some of transformers 5 (XLM-RoBERTa, CamemBERT) the head comes first.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Iterable

from ckpttool.findings.errors import UsageError
from ckpttool.findings.names import summarise
from ckpttool.findings.patterns import matches_glob
from ckpttool.findings.text import printable

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.tensors.sharing import Sharing


# A module that makes a prediction from the output of a model's body: lm_head, head.
_HEAD = re.compile(r"(?:\w+_)?head")


def tied_to(
    sharing: Sharing, selection: TensorSelection, options: ConvertOptions
) -> dict[str, str]:
    """Return dropped name -> stored name for all but one name of each group of tied tensors.

    The stored name is the one given with ``--keep``; else the one that the source stores, if it
    only records the others; else the first in the source that is not in a head, or the first.

    Raises:
        UsageError: ``--keep`` names no tied tensor, or two of the same group.
    """
    asked = _asked(sharing, options)
    tied = {}
    for group in sharing.groups:
        wanted = [name for name in group if name in asked]
        if len(wanted) > 1:
            raise UsageError(
                "keep names several of the same bytes, which are stored under one name",
                found=_listed(wanted),
                fix="Name one of them, or store all of them (keep_aliases).",
            )
        stored = [name for name in group if not _is_only_recorded(name, selection)] or group
        bodies = (name for name in stored if not _is_of_a_head(name))
        kept = next(chain(wanted, bodies, stored))
        tied.update({name: kept for name in group if name != kept})
    return tied


def _is_only_recorded(name: str, selection: TensorSelection) -> bool:
    return all(one.name in selection.restored for one in selection.naming.made_of(name))


def _is_of_a_head(name: str) -> bool:
    return any(_HEAD.fullmatch(part) for part in name.split("."))


def _asked(sharing: Sharing, options: ConvertOptions) -> frozenset[str]:
    names = [name for group in sharing.groups for name in group]
    asked: set[str] = set()
    for pattern in options.keep:
        found = {name for name in names if matches_glob(pattern, name)}
        if not found:
            raise UsageError(
                f"no tied tensor name matches {pattern} (keep)",
                expected=_listed(names) if names else "a tied name, and no two names are tied",
                fix="Name one that is tied." if names else "Leave keep out.",
            )
        asked |= found
    return frozenset(asked)


def _listed(names: Iterable[str]) -> str:
    return printable(summarise(names))
