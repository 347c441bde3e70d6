"""The model families that are known, each a value in a file of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping

from ckpttool.findings.arguments import check_choice
from ckpttool.findings.errors import UsageError
from ckpttool.models.families.mae import MAE
from ckpttool.models.family import FULL

if TYPE_CHECKING:
    from ckpttool.models.family import Family, Free
    from ckpttool.models.layouts.conventions import Convention

#: In place of a model's name: the one that the file is. Here, as the help of commands names it.
AUTO = "auto"

FAMILIES: tuple[Family, ...] = (MAE,)  # the first gives the default model

_KINDS = {
    "flag": "true or false",
    "number": "whole number from 1 to {most:,}",
    "image": "number of pixels, nor a pair of a height and a width",
}

#: The model of a stand-in, and of a file of which nothing can be read off.
DEFAULT_MODEL = FAMILIES[0].default


def models() -> dict[str, Family]:
    """Return model name -> family, for every model that is known."""
    return {name: family for family in FAMILIES for name in family.sizes}


def free_sizes() -> dict[str, Free]:
    """Return the sizes of models that can be demanded, by name."""
    readers = [family.reading for family in FAMILIES if family.reading is not None]
    return {name: free for reader in readers for name, free in reader.free.items()}


def check_sizes(sizes: Mapping[str, object]) -> None:
    """Check sizes that are demanded.

    Raises:
        UsageError: there is no such size, or its value is not of its kind.
    """
    known = free_sizes()
    for name, value in sizes.items():
        check_choice(name, known, "size")
        kind, most = known[name].kind, known[name].most
        sides = value if isinstance(value, tuple) and kind == "image" else (value,)
        if kind == "flag":
            right = isinstance(value, bool)
        else:
            right = all(type(side) is int and 0 < side <= most for side in sides)
            right = right and len(sides) in (1, 2)
        if not right:
            raise UsageError(f"{name} is no {_KINDS[kind].format(most=most)}", found=value)


def conventions() -> dict[str, Convention]:
    """Return the naming conventions that files can be written in, by the names of the option."""
    return {name: one for family in FAMILIES for name, one in family.load_conventions().items()}


def requirements() -> tuple[str, ...]:
    """Return all that a file may be required to hold: the core of a family, or the whole model."""
    return (*dict.fromkeys(family.core for family in FAMILIES), FULL)
