"""What a model expects of a checkpoint: names, shapes and dtypes, by group."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ckpttool.models.family import Family, ModelConfig


class SchemaEntry(NamedTuple):
    """One tensor expected: ``dtype`` by torch's name, ``group`` one of its family's."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    group: str

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)


class Schema(NamedTuple):
    """Every tensor that a model holds, in the model's order.

    Attributes:
        name: what to call the model.
        groups: in the order of every report, the one that must be there first.
        entries: by name.
    """

    name: str
    groups: tuple[str, ...]
    entries: dict[str, SchemaEntry]


@lru_cache(maxsize=16)
def schema_of(family: Family, config: ModelConfig, name: str) -> Schema:
    """Return what the model of ``config`` expects, read off the model itself.

    The model is built on the meta device, so nothing is allocated or initialised. The result
    is shared between calls and not to be changed. Imports torch.

    Args:
        family: whose model it is.
        config: the sizes of the model.
        name: what reports call it (``mae_vit_large_patch16``).
    """
    entries = {
        key: SchemaEntry(
            key,
            tuple(tensor.shape),
            str(tensor.dtype).rpartition(".")[2],
            family.group_of(key),
        )
        for key, tensor in family.load()(config, device="meta").state_dict().items()
    }
    return Schema(name, family.groups, entries)
