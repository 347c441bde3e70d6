"""Places each tensor on the map of a model, in the terms of the model's family."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Iterable, Mapping, Sequence

from ckpttool.comparison.result import ModelMap, Place
from ckpttool.models import families

if TYPE_CHECKING:
    from ckpttool.comparison.result import TensorDiff
    from ckpttool.models.family import Family

# A name of any model: its first number is that of a block. One of more than six digits is an id of
# something, and blocks by the million would make an endless map.
_NUMBERED = re.compile(r"(.+?)\.(0|[1-9][0-9]{0,5})\.(.+)")
# The part that tells a module's weight from its bias: both share a cell of the map.
_LEAF = re.compile(r"[._](weight|bias)")


def family_of(sides: Iterable[Family | None]) -> Family:
    """Return the family whose map is drawn: that of a side, or the first where none is known."""
    known = list(sides)
    # in the order of the table: exchanging the sides must not change the map
    return next((one for one in families.FAMILIES if one in known), families.FAMILIES[0])


def map_of(tensors: Sequence[TensorDiff], family: Family) -> ModelMap:
    """Return the map of the tensors of any model.

    In a model of another family, blocks are grouped by the name of their stack, and tensors in no
    block form one group.
    """
    # Known by its first block: other names of the family, such as norm.weight, any model may have.
    first = tuple(f"{stack}.0." for stack in family.stacks)
    ours = any(tensor.name.startswith(first) for tensor in tensors)
    rows = _rows_of(family)
    places = tuple(_place(tensor.name, family, rows, ours) for tensor in tensors)
    return ModelMap(tuple(family.rows), places)


def _place(name: str, family: Family, rows: Mapping[str, str], ours: bool) -> Place:
    match = _NUMBERED.fullmatch(name)
    if match is None:
        return Place(family.group_of(name) if ours else "outside of blocks", _module(name), None)
    stack, number, rest = match.groups()
    module = _module(rest)
    return Place(family.stacks.get(stack, stack), rows.get(module, module), int(number))


@lru_cache(maxsize=4096)  # blocks have the same modules
def _module(name: str) -> str:
    return _LEAF.sub("", name)


def _rows_of(family: Family) -> dict[str, str]:
    """Return the row of every module of a block, in the spellings of all layouts."""
    spelled = (
        (name, row)
        for row, modules in family.rows.items()
        for module in modules
        for stack in family.stacks
        for layout in family.layouts
        for name in layout.names_of(f"{stack}.0.{module}.weight") or ()
    )
    found = ((_NUMBERED.fullmatch(name), row) for name, row in spelled)
    return {_module(match[3]): row for match, row in found if match}
