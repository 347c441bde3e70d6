"""The JSON files beside the tensors: the index of shards, and the sidecar."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from ckpttool.conversion.result import LeftOut
from ckpttool.formats.objects.beside import beside_of
from ckpttool.formats.objects.plain import Plain, Reader, tensor_bytes
from ckpttool.formats.pickles.nodes import Dict
from ckpttool.formats.writing import TARGETS
from ckpttool.tensors.sharing import OWN_KEYS

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.planning import Plan
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.formats.pickles.nodes import Node
    from ckpttool.tensors.catalogue import Checkpoint

#: What the strings of a safetensors header are called in a report, and in a sidecar.
METADATA = "__metadata__"
# Metadata of an index that are counted again for the new index, so they are not lost.
_COUNTED_ANEW = frozenset({"metadata.total_size", "metadata.total_parameters"})

#: Raised when a field goes or changes its meaning.
SCHEMA_VERSION = 1


def index_content(plan: Plan, selection: TensorSelection) -> bytes:
    """Return the index of the shards, as the Hugging Face hub reads it, in the source's order."""
    files = {piece.name: Path(file.path).name for file in plan.files for piece in file.pieces}
    # Not in the order of the shards: a tensor larger than the limit is in an earlier one.
    places = {name: files[name] for name in selection.naming.tensors if name in files}
    totals = sum(one.nbytes for one in plan.pieces), sum(one.info.numel for one in plan.pieces)
    return index_text(places, totals, {})


def index_text(
    places: Mapping[str, str], totals: tuple[int, int], metadata: Mapping[str, object]
) -> bytes:
    """Return an index.

    Args:
        places: which file each tensor lies in, in the order of the index.
        totals: bytes and elements of these tensors.
        metadata: what else it says of itself.
    """
    counted = dict(zip(("total_size", "total_parameters"), totals))
    document = {"metadata": {**metadata, **counted}, "weight_map": places}
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def left_out(
    checkpoint: Checkpoint, selection: TensorSelection, options: ConvertOptions
) -> tuple[tuple[LeftOut, ...], bytes | None]:
    """Return the entries beside the tensors, and the content of the sidecar if there is to be one.

    Raises:
        UnsupportedError: written out, the sidecar would be too large.
    """
    lost: dict[str, str] = {}
    if not TARGETS[options.to].HOLDS_METADATA:
        # Without tied names, which a format without metadata stores again, and our own keys.
        ours = {*OWN_KEYS, *selection.restored}
        lost = {key: value for key, value in checkpoint.metadata.items() if key not in ours}
    sizes = tensor_bytes(checkpoint.aside) or [0] * len(checkpoint.entries)
    entries = (
        *(
            LeftOut(entry.key, entry.kind, entry.summary, nbytes)
            for entry, nbytes in zip(checkpoint.entries, sizes)
            if entry.key not in _COUNTED_ANEW or checkpoint.aside
        ),
        *(LeftOut(f"{METADATA}.{key}", "str", repr(value), 0) for key, value in lost.items()),
    )
    return (entries, None) if options.sidecar is None else sidecar(checkpoint, entries, lost)


def sidecar(
    checkpoint: Checkpoint, entries: tuple[LeftOut, ...], lost: Mapping[str, str]
) -> tuple[tuple[LeftOut, ...], bytes]:
    """Return the entries with how much of each the sidecar holds, and its content."""
    beside = beside_of(checkpoint)
    reader = Reader()
    nodes = list(beside.items()) if beside else _of_the_container(checkpoint, lost)
    read = [(key, reader.read(key, node)) for key, node in nodes]
    held = [_held([plain]) for _, plain in read[: len(entries)]]
    # A report lists a limited number of entries; the last one stands for all the others.
    if len(read) > len(entries) and entries:
        held[-1] = _held([plain for _, plain in read[len(entries) - 1 :]])
    # In a list, to keep them alive: the reader knows nodes by id.
    shells = list(beside.shells()) if beside else []
    read += [(key, reader.read(key, node)) for key, node in shells]
    values = [
        {"key": key, "value": value}
        for entry, plain in read
        for key, value in ((entry, plain.value), *plain.parts)
    ]
    document = {"schema_version": SCHEMA_VERSION, "tool": "ckpttool", "entries": values}
    text = json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False)
    kept = [entry._replace(sidecar=much) for entry, much in zip(entries, held)]
    return (*kept, *entries[len(kept) :]), text.encode("ascii") + b"\n"


def _of_the_container(checkpoint: Checkpoint, lost: Mapping[str, str]) -> list[tuple[str, Node]]:
    """Return the metadata of a container without a pickle, in the order of the entries."""
    index = {f"metadata.{key}": value for key, value in checkpoint.index_metadata.items()}
    return [
        *((key, _node(value)) for key, value in index.items() if key not in _COUNTED_ANEW),
        *((f"{METADATA}.{key}", value) for key, value in lost.items()),
    ]


def _node(value: Any) -> Node:
    """Return a JSON value as a node of a pickle."""
    # Without recursion, since the file decides how deep it nests.
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
    """Return how much of these values the sidecar holds: ``whole``, ``partly`` or ``None``."""
    if not any(plain.left_out for plain in parts):
        return "whole"
    return "partly" if any(plain.kept for plain in parts) else None
