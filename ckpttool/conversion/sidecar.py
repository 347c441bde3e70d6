"""What lies beside the tensors: named in the report, and kept as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ckpttool.converted import LeftOut
from ckpttool.formats.beside import beside_of
from ckpttool.formats.plain import Plain, Reader, tensor_bytes

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

    Entries that the report only counts are in it too.

    Raises:
        UnsupportedError: written out, it would be too large.
    """
    beside = beside_of(checkpoint)
    reader = Reader()
    read = [(key, reader.read(key, node)) for key, node in beside.items()] if beside else []
    values = [
        {"key": key, "value": value}
        for entry, plain in read
        for key, value in ((entry, plain.value), *plain.parts)
    ]
    shells_of = list(beside.shells()) if beside else []
    held = [_held([plain]) for _, plain in read[: len(entries)]]
    if len(read) > len(entries) and entries:  # the last one stands for all the others
        held[-1] = _held([plain for _, plain in read[len(entries) - 1 :]])
    shells = [(key, reader.read(key, node).value) for key, node in shells_of]
    values += [{"key": key, "value": value} for key, value in shells]
    document = {"schema_version": SCHEMA_VERSION, "tool": "ckpttool", "entries": values}
    text = json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False)
    kept = [entry._replace(sidecar=much) for entry, much in zip(entries, held)]
    return text.encode("ascii") + b"\n", (*kept, *entries[len(kept) :])


def _held(parts: list[Plain]) -> str | None:
    """Return how much of some values is in the sidecar."""
    if not any(plain.left_out for plain in parts):
        return "whole"
    return "partly" if any(plain.kept for plain in parts) else None
