"""A checkpoint's names, shapes and dtypes against what a model expects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping

from ckpttool.findings.results import Coverage, GroupCoverage, Mismatch
from ckpttool.tensors.dtypes import DTYPES

if TYPE_CHECKING:
    from ckpttool.models.schema import Schema, SchemaEntry
    from ckpttool.tensors.catalogue import TensorInfo


def cover(
    tensors: Mapping[str, TensorInfo], schema: Schema, *, core_alone: bool = False
) -> Coverage:
    """Return how much of ``schema`` the tensors (by canonical name) cover.

    Args:
        tensors: those of the file.
        schema: what a model expects.
        core_alone: whether the file is known to have the core alone. A name of another group is
            then a chance match, as many models have a ``mask_token``, and no part of that group.
    """
    groups: dict[str, list[SchemaEntry]] = {name: [] for name in schema.groups}
    for entry in schema.entries.values():
        groups[entry.group].append(entry)
    others = schema.groups[1:]
    by_chance = {entry.name for name in others for entry in groups[name]} if core_alone else set()
    left = {name: info for name, info in tensors.items() if name not in by_chance}
    return Coverage(
        schema.name,
        {name: _cover_group(left, entries) for name, entries in groups.items()},
        tuple(name for name in tensors if name not in schema.entries or name in by_chance),
    )


def is_matched(mismatch: Mismatch) -> bool:
    """Whether the model can load the tensor all the same: it has the shape and is a float."""
    # load_state_dict converts to the model's type; what that rounds is a finding of its own
    dtype = DTYPES.get(mismatch.found_dtype)
    return mismatch.same_shape and dtype is not None and dtype.kind == "float"


def _cover_group(tensors: Mapping[str, TensorInfo], entries: list[SchemaEntry]) -> GroupCoverage:
    missing = tuple(entry.name for entry in entries if entry.name not in tensors)
    mismatched = tuple(
        Mismatch(entry.name, entry.shape, entry.dtype, info.shape, info.dtype.name)
        for entry, info in ((entry, tensors.get(entry.name)) for entry in entries)
        if info is not None and (info.shape, info.dtype.name) != (entry.shape, entry.dtype)
    )
    unfilled = {*missing, *(found.name for found in mismatched if not is_matched(found))}
    matched = [entry for entry in entries if entry.name not in unfilled]
    return GroupCoverage(
        len(entries),
        len(matched),
        missing,
        mismatched,
        sum(entry.numel for entry in entries),
        sum(entry.numel for entry in matched),
    )
