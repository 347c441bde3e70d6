"""Compares two files as a whole: container, wrapper, layout, tied tensors, metadata."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Iterator

from ckpttool.comparison.result import StructureDiff
from ckpttool.comparison.texts import json_of
from ckpttool.formats.objects.beside import beside_of
from ckpttool.tensors.sharing import ORDER, tied_groups, tied_names, with_tied

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint

_NONE = "none"
# Names of tied tensors that are listed, before a count stands for the rest.
_SHOWN = 8


def structure_of(
    left: Checkpoint, right: Checkpoint, layouts: tuple[str, str] | None
) -> tuple[StructureDiff, ...]:
    """Return the properties that differ; ``layouts`` is ``None`` if those do not."""
    found = [
        StructureDiff("container", left.format, right.format),
        StructureDiff("wrapper", left.wrapper or _NONE, right.wrapper or _NONE),
        StructureDiff("tied", _tied(left), _tied(right)),
        StructureDiff("module versions", _versions(left), _versions(right)),
        *_metadata(left, right),
    ]
    if layouts is not None:
        found.append(StructureDiff("layout", *layouts))
    return tuple(one for one in found if one.left != one.right)


def _versions(checkpoint: Checkpoint) -> str:
    """Return a checksum of the module versions that a state dict carries in ``_metadata``."""
    # torch passes them to modules, which may load the same weights differently by version.
    beside = beside_of(checkpoint)
    noted = beside.versions() if beside else []
    return f"sha256:{sha256(json_of(noted).encode()).hexdigest()[:16]}" if noted else _NONE


def _tied(checkpoint: Checkpoint) -> str:
    """Return the groups of tied names."""
    # With recorded ties: which of the names holds the bytes is the container's affair.
    groups = tied_groups(with_tied(checkpoint.tensors, checkpoint.metadata))
    ties = sorted(" = ".join(sorted(group)) for group in groups)
    if len(ties) > _SHOWN:
        ties[_SHOWN:] = [f"and {len(ties) - _SHOWN:,} more"]
    return ", ".join(ties) or _NONE


def _metadata(left: Checkpoint, right: Checkpoint) -> Iterator[StructureDiff]:
    sides = [
        {
            key: value
            for key, value in side.metadata.items()
            # tied names have a row of their own
            if key not in (*tied_names(side.tensors, side.metadata), ORDER)
        }
        for side in (left, right)
    ]
    for key in sorted({**sides[0], **sides[1]}):
        yield StructureDiff(f"metadata {key}", *(side.get(key, _NONE) for side in sides))
