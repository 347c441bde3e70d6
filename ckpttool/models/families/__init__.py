"""The model families that are known, each a value in a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.models.families.mae import MAE
from ckpttool.models.family import FULL

if TYPE_CHECKING:
    from ckpttool.models.family import Family

FAMILIES: tuple[Family, ...] = (MAE,)  # the first gives the default model

#: The model that the tool checks against unless told otherwise.
DEFAULT_MODEL = FAMILIES[0].default


def models() -> dict[str, Family]:
    """Return model name -> family, for every model that is known."""
    return {name: family for family in FAMILIES for name in family.sizes}


def requirements() -> tuple[str, ...]:
    """Return all that a file may be required to hold: the core of a family, or the whole model."""
    return (*dict.fromkeys(family.core for family in FAMILIES), FULL)
