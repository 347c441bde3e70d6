"""Under which of its names a tied tensor is stored, where the format stores it once.

A model is loaded by the names that it looks for. A base class of it has no head, and some models
with one do not tie an embedding that is missing to it. Nearly all state dicts have the embedding
first and the head that is tied to it last, so that the order of the file decides, as it did in
``save_pretrained`` of transformers 4. In some of transformers 5 (XLM-RoBERTa's, CamemBERT's) the
head comes first, and ``save_pretrained`` goes by what a class says of itself.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from itertools import chain
from typing import TYPE_CHECKING, Iterable

from ckpttool.findings.errors import UsageError
from ckpttool.findings.names import summarise
from ckpttool.findings.text import printable

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.tensors.sharing import Sharing


# A module that makes a prediction of what the body of a model computes.
_HEAD = re.compile(r"(?:\w+_)?head")


def tied_to(
    sharing: Sharing, selection: TensorSelection, options: ConvertOptions
) -> dict[str, str]:
    """Return name to the name that it is stored under, for all but one name of each group.

    That one is the name that was asked for; else the one that the source stores, if it stores
    one and records the others; else the first in the order of the source, of those that are no
    head's if there is one.

    Raises:
        UsageError: what was asked for is no tied name, or two of the same group.
    """
    asked = _asked(sharing, options)
    tied = {}
    for group in sharing.groups:
        wanted = [name for name in group if name in asked]
        if len(wanted) > 1:
            raise UsageError(
                "--keep names several of the same bytes, and one is stored",
                found=_listed(wanted),
                fix="Name one of them, or store all of them with --keep-aliases.",
            )
        stored = [name for name in group if name not in selection.restored] or group
        bodies = (name for name in stored if not _is_of_a_head(name))
        kept = next(chain(wanted, bodies, stored))
        tied.update({name: kept for name in group if name != kept})
    return tied


def _is_of_a_head(name: str) -> bool:
    return any(_HEAD.fullmatch(part) for part in name.split("."))


def _asked(sharing: Sharing, options: ConvertOptions) -> frozenset[str]:
    names = [name for group in sharing.groups for name in group]
    asked: set[str] = set()
    for pattern in options.keep:
        found = {name for name in names if name == pattern or fnmatchcase(name, pattern)}
        if not found:
            raise UsageError(
                f"no tied tensor has a name like {pattern} (--keep)",
                expected=_listed(names) if names else "a tied name, and no two names are tied",
                fix="Name one that is tied." if names else "Leave --keep out.",
            )
        asked |= found
    return frozenset(asked)


def _listed(names: Iterable[str]) -> str:
    return printable(summarise(names))
