"""The model families that are known: each one value in a file of its own, and a place here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.models.families.mae import MAE

if TYPE_CHECKING:
    from ckpttool.models.family import Family

#: The first is meant where nothing tells.
FAMILIES: tuple[Family, ...] = (MAE,)

#: The model that the tool checks against unless told otherwise.
DEFAULT_MODEL = FAMILIES[0].default


def models() -> dict[str, Family]:
    """Return the name of every model that is known, to its family."""
    return {name: family for family in FAMILIES for name in family.sizes}
