"""What a model expects of a checkpoint: names, shapes and dtypes, by group."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ckpttool.models.family import Family, ModelConfig


#: Torch's name of the type of every tensor for which its family names no other.
DTYPE = "float32"


class SchemaEntry(NamedTuple):
    """A tensor that the model expects; ``dtype`` is torch's name of it (``float32``)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    group: str

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)


class Schema(NamedTuple):
    """Every tensor that a model holds, by name in the model's order; ``groups``, the core first."""

    name: str
    groups: tuple[str, ...]
    entries: dict[str, SchemaEntry]


@lru_cache(maxsize=16)  # a run over many files asks for the same few again and again
def schema_of(family: Family, config: ModelConfig, name: str) -> Schema:
    """Return what the model of ``config`` expects. The result is shared: do not change it.

    Args:
        family: whose model it is.
        config: the sizes of the model.
        name: what reports call it (``mae_vit_large_patch16``).
    """
    entries = {
        key: SchemaEntry(key, shape, family.dtypes.get(key, DTYPE), family.group_of(key))
        for key, shape in family.shapes(config).items()
    }
    there = {entry.group for entry in entries.values()}
    groups = tuple(group for group in family.groups if group == family.core or group in there)
    return Schema(name, groups, entries)
