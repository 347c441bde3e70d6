"""A checkpoint's names, shapes and dtypes against what a model expects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Iterator, Mapping

from ckpttool.findings.results import Coverage, GroupCoverage, Mismatch
from ckpttool.tensors.dtypes import DTYPES

if TYPE_CHECKING:
    from ckpttool.models.canonical import Canonical
    from ckpttool.models.schema import Schema, SchemaEntry
    from ckpttool.tensors.catalogue import TensorInfo

# What stands before the first number of a name, and behind it.
_IN_BLOCK = re.compile(r"([^\n]{1,200}?)\.[0-9]{1,9}\.(.+)", re.DOTALL)
# Modules in a block, and names without a place that are looked at: a hostile file has a million.
_DEEPEST, _MOST_STRANGE = 8, 10_000


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
    """Whether the model can load the tensor all the same: it has the shape, and both are floats.

    A counter may be a float, too: some save it in the type of the weights.
    """
    # load_state_dict converts to the model's type; what that rounds is a finding of its own
    expected, found = map(DTYPES.get, (mismatch.expected_dtype, mismatch.found_dtype))
    floats = [one is not None and one.kind == "float" for one in (expected, found)]
    return mismatch.same_shape and floats[1] and (floats[0] or mismatch.expected_shape == ())


def parts_in_blocks(canonical: Canonical, coverage: Coverage) -> list[str]:
    """Return what lies in the blocks of a file and has no place in the model: ``adapter``.

    They are told by the file's own names, behind which the blocks' other tensors are.
    """
    strange, family = set(coverage.unexpected), canonical.family
    stacks: dict[str, set[str]] = {}
    for name, origins in canonical.origins.items():
        if strange and name not in strange and family and family.block_of(name):
            for place in filter(None, map(_IN_BLOCK.match, origins)):
                stacks.setdefault(place[1], set()).update(_modules(place[2]))
    parts: dict[str, None] = {}
    for name in coverage.unexpected[:_MOST_STRANGE]:
        found = _IN_BLOCK.match(canonical.origins[name][0])
        if found and found[1] in stacks:
            known = stacks[found[1]]
            parts.update(dict.fromkeys([one for one in _modules(found[2]) if one not in known][:1]))
    return list(parts)


def _modules(role: str) -> Iterator[str]:
    """Yield the modules that a tensor of a block lies in, the outermost first, and itself."""
    parts = role.split(".", _DEEPEST)
    yield from (".".join(parts[: length + 1]) for length in range(len(parts)))


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
