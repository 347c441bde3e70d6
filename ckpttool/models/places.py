"""Where a tensor stands in a model: its group, its block and its role there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ckpttool.models.family import Family

#: A name of any model: its first number is that of a block. One of more than six digits is an id of
#: something, and blocks by the million would be none.
NUMBERED = re.compile(r"(.+?)\.(0|[1-9][0-9]{0,5})\.(.+)", re.DOTALL)


class TensorPlace(NamedTuple):
    """Where a tensor stands.

    Attributes:
        group: the part of the model; of a model that is not known, the name of its stack of
            blocks, ``None`` outside of these.
        block: the number of its block; ``None`` outside of blocks.
        role: its name within the block; outside of blocks the whole name.
    """

    group: str | None
    block: int | None
    role: str


def place_of(name: str, family: Family | None) -> TensorPlace:
    """Return where a tensor stands, by its canonical name or that of a model that is not known."""
    if family is not None and family.stacks:
        ours = family.block_of(name)
        if ours is not None:
            return TensorPlace(family.stacks[ours.stack], ours.number, ours.rest)
        return TensorPlace(family.group_of(name), None, name)
    match = NUMBERED.fullmatch(name)
    if match is None:
        return TensorPlace(None, None, name)
    return TensorPlace(match[1], int(match[2]), match[3])
