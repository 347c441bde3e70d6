"""Under which of its names a tied tensor is stored, where the format stores it once.

A model is loaded by the names that it looks for. Of tied names a state dict has the embedding
first and the head that is tied to it last; a base class of the model has no head, and some
models with one do not tie it back to an embedding that is missing.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import chain
from typing import TYPE_CHECKING, Iterable

from ckpttool.errors import UsageError
from ckpttool.names import summarise
from ckpttool.text import printable

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.selecting import Selection
    from ckpttool.sharing import Sharing


def tied_to(sharing: Sharing, selection: Selection, options: ConvertOptions) -> dict[str, str]:
    """Return name to the name that it is stored under, for all but one name of each group.

    That one is the name that was asked for; else the one that the source stores, if it stores
    one and records the others; else the first in the order of the source.

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
        stored = (name for name in group if name not in selection.restored)
        kept = next(chain(wanted, stored, group))
        tied.update({name: kept for name in group if name != kept})
    return tied


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
