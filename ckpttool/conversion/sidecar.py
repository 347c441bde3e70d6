"""What lies beside the tensors: named in the report, and kept as JSON where it is plain data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ckpttool.converted import LeftOut
from ckpttool.formats.plain import Reader, tensor_bytes

if TYPE_CHECKING:
    from ckpttool.tensors import Checkpoint

#: Raised when a field goes or changes its meaning.
SCHEMA_VERSION = 1


def left_out(checkpoint: Checkpoint) -> tuple[LeftOut, ...]:
    """Return what lies beside the tensors, each with the bytes of the tensors in it."""
    sizes = tensor_bytes(checkpoint.aside) or [0] * len(checkpoint.entries)
    return tuple(
        LeftOut(entry.key, entry.kind, entry.summary, nbytes)
        for entry, nbytes in zip(checkpoint.entries, sizes)
    )


def sidecar(
    checkpoint: Checkpoint, entries: tuple[LeftOut, ...]
) -> tuple[bytes, tuple[LeftOut, ...]]:
    """Return the sidecar's content, and the entries with how much of each is in it.

    Raises:
        UnsupportedError: written out, it would be larger than any real checkpoint's.
    """
    reader = Reader()
    kept = []
    values = []
    for entry, node in zip(entries, checkpoint.aside):
        plain = reader.read(node)
        values.append({"key": entry.key, "value": plain.value})
        kept.append(entry._replace(sidecar="partly" if plain.left_out else "whole"))
    document = {"schema_version": SCHEMA_VERSION, "tool": "ckpttool", "entries": values}
    text = json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n", tuple(kept) or entries
