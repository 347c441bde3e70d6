"""What a model expects of a checkpoint: names, shapes and dtypes, by encoder and decoder."""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from mae.config import is_decoder_name

if TYPE_CHECKING:
    from mae.config import MAEConfig

#: The two sides of a masked autoencoder, in the order of every report.
GROUPS = ("encoder", "decoder")


class SchemaEntry(NamedTuple):
    """One tensor expected: ``dtype`` by torch's name, ``group`` one of :data:`GROUPS`."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    group: str

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)


class Schema(NamedTuple):
    """Every tensor that a model holds, in the model's order, and what to call the model."""

    name: str
    entries: dict[str, SchemaEntry]

    def group(self, name: str) -> dict[str, SchemaEntry]:
        """Return the entries of one group, in order; empty for an unknown one."""
        return {key: entry for key, entry in self.entries.items() if entry.group == name}

    def parameters(self, group: str) -> int:
        """Return the number of elements of one group."""
        return sum(entry.numel for entry in self.group(group).values())


@lru_cache(maxsize=16)
def schema_of(config: MAEConfig, name: str) -> Schema:
    """Return what the model of ``config`` expects, read off the model itself.

    The model is built on the meta device, so nothing is allocated or initialised. The result
    is shared between calls and not to be changed. Imports torch.

    Args:
        config: the sizes of the model.
        name: what reports call it (``mae_vit_large_patch16``).
    """
    from mae.large import MAEViTLarge

    entries = {
        key: SchemaEntry(
            key,
            tuple(tensor.shape),
            str(tensor.dtype).rpartition(".")[2],
            "decoder" if is_decoder_name(key) else "encoder",
        )
        for key, tensor in MAEViTLarge(config, device="meta").state_dict().items()
    }
    return Schema(name, entries)
