"""What lies beside the tensors: named in the report, and kept as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Mapping

from ckpttool.conversion.result import LeftOut
from ckpttool.formats.objects.beside import beside_of
from ckpttool.formats.objects.plain import Plain, Reader, tensor_bytes
from ckpttool.formats.pickles.nodes import Dict

if TYPE_CHECKING:
    from ckpttool.formats.pickles.nodes import Node
    from ckpttool.tensors.catalogue import Checkpoint

#: What the strings of a safetensors header are called in a report, and in a sidecar.
METADATA = "__metadata__"
# What an index says of itself, and a new one says anew.
_COUNTED_ANEW = frozenset({"metadata.total_size", "metadata.total_parameters"})

#: Raised when a field goes or changes its meaning.
SCHEMA_VERSION = 1


def left_out(checkpoint: Checkpoint, lost: Mapping[str, str]) -> tuple[LeftOut, ...]:
    """Return what lies beside the tensors, each with the bytes of the tensors in it.

    Args:
        checkpoint: the source.
        lost: strings of its ``__metadata__`` that have no place in the destination.
    """
    sizes = tensor_bytes(checkpoint.aside) or [0] * len(checkpoint.entries)
    return (
        *(
            LeftOut(entry.key, entry.kind, entry.summary, nbytes)
            for entry, nbytes in zip(checkpoint.entries, sizes)
            if entry.key not in _COUNTED_ANEW or checkpoint.aside
        ),
        *(LeftOut(f"{METADATA}.{key}", "str", repr(value), 0) for key, value in lost.items()),
    )


def sidecar(
    checkpoint: Checkpoint, entries: tuple[LeftOut, ...], lost: Mapping[str, str]
) -> tuple[bytes, tuple[LeftOut, ...]]:
    """Return the sidecar's content, and the entries with how much of each is in it.

    Entries that the report only counts are in it too.

    Args:
        checkpoint: the source.
        entries: what :func:`left_out` gives.
        lost: as there.

    Raises:
        UnsupportedError: written out, it would be too large.
    """
    beside = beside_of(checkpoint)
    reader = Reader()
    nodes = list(beside.items()) if beside else _of_the_container(checkpoint, lost)
    read = [(key, reader.read(key, node)) for key, node in nodes]
    held = [_held([plain]) for _, plain in read[: len(entries)]]
    if len(read) > len(entries) and entries:  # the last one stands for all the others
        held[-1] = _held([plain for _, plain in read[len(entries) - 1 :]])
    shells = list(beside.shells()) if beside else []  # held, since the reader knows nodes by id
    read += [(key, reader.read(key, node)) for key, node in shells]
    values = [
        {"key": key, "value": value}
        for entry, plain in read
        for key, value in ((entry, plain.value), *plain.parts)
    ]
    document = {"schema_version": SCHEMA_VERSION, "tool": "ckpttool", "entries": values}
    text = json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False)
    kept = [entry._replace(sidecar=much) for entry, much in zip(entries, held)]
    return text.encode("ascii") + b"\n", (*kept, *entries[len(kept) :])


def _of_the_container(checkpoint: Checkpoint, lost: Mapping[str, str]) -> list[tuple[str, Node]]:
    """Return what a container that is no pickle says of itself, in the order of the entries."""
    index = {f"metadata.{key}": value for key, value in checkpoint.index_metadata.items()}
    return [
        *((key, _node(value)) for key, value in index.items() if key not in _COUNTED_ANEW),
        *((f"{METADATA}.{key}", value) for key, value in lost.items()),
    ]


def _node(value: Any) -> Node:
    """Return a value of JSON as the node of a pickle would be, however deep it nests."""
    if not isinstance(value, (dict, list)):
        return value
    root: list[Any] = [value]
    waiting = [root]
    while waiting:
        into = waiting.pop()
        for place, one in enumerate(into):
            if isinstance(one, list):
                into[place] = fresh = list(one)
                waiting.append(fresh)
            elif isinstance(one, dict):
                into[place] = node = Dict()
                node.flat = [part for pair in one.items() for part in pair]
                waiting.append(node.flat)
    return root[0]


def _held(parts: list[Plain]) -> str | None:
    """Return how much of some values is in the sidecar."""
    if not any(plain.left_out for plain in parts):
        return "whole"
    return "partly" if any(plain.kept for plain in parts) else None
