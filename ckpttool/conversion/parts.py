"""Tensors that are more than bytes, written as the plain tensors that they are made of.

The parts take their places before anything is selected or planned. What comes after copies and
proves them like any other tensor.
"""

from __future__ import annotations

import json
from copy import copy
from typing import TYPE_CHECKING, Iterator, Sequence

from ckpttool.conversion.renaming.rows import every_row
from ckpttool.conversion.result import WrittenParts
from ckpttool.findings import rules
from ckpttool.findings.errors import UsageError
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.text import count
from ckpttool.formats.objects.parts import facts_of
from ckpttool.formats.writing import TARGETS
from ckpttool.tensors.in_parts import InParts, way_to

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.selecting import TensorSelection
    from ckpttool.tensors.catalogue import Checkpoint

#: The key of ``__metadata__`` that says what parts are of, as JSON.
PARTS = "ckpttool.parts"

_OUT = "Leave it out with --exclude, or save it as a plain dense tensor."


def with_parts(checkpoint: Checkpoint, options: ConvertOptions) -> Checkpoint:
    """Return a checkpoint that has parts in the place of the tensors that are made of them.

    Without the option it is the same.

    Raises:
        UsageError: there is no such tensor.
    """
    if not options.parts:
        return checkpoint
    if not checkpoint.in_parts:
        raise UsageError("there is no tensor that is made of parts", fix="Leave --parts out.")
    tensors = dict(checkpoint.tensors)
    unread = dict(checkpoint.unread)
    for one in checkpoint.in_parts:
        if not one.parts:
            continue
        taken = next((info.name for info in one.parts if info.name in tensors), None)
        if taken is not None:
            unread[one.name] += f", and another tensor has the name of its part {taken}"
            continue
        tensors.update((info.name, info) for info in one.parts)
        del unread[one.name]
    changed = copy(checkpoint)
    changed.tensors, changed.unread = tensors, tuple(unread.items())
    return changed


def written_parts(
    checkpoint: Checkpoint, selection: TensorSelection, options: ConvertOptions
) -> tuple[WrittenParts, ...]:
    """Return what was written in parts, with the names of the parts in the result.

    Raises:
        UnsupportedError: what else is known of such a tensor is too large to be written.
    """
    if not options.parts:
        return ()
    naming = selection.naming
    names = {
        rows[0].name: name
        for name, rows in ((name, naming.made_of(name)) for name in naming.tensors)
        if rows[0].name in selection.tensors
        and rows == (every_row(selection.tensors[rows[0].name]),)
    }
    return tuple(_written(checkpoint, selection, names))


def _written(
    checkpoint: Checkpoint, selection: TensorSelection, names: dict[str, str]
) -> Iterator[WrittenParts]:
    unread = {name for name, _ in checkpoint.unread}
    for one in checkpoint.in_parts:
        chosen = [info.name in selection.tensors for info in one.parts]
        if one.name in unread or not any(chosen):
            continue
        parts = {suffix: names.get(info.name) for suffix, info in zip(one.suffixes, one.parts)}
        yield WrittenParts(one.name, parts, {**facts_of(one), "parts": parts})


def metadata_of(written: Sequence[WrittenParts]) -> str:
    """Return the value of :data:`PARTS`."""
    return json.dumps({one.name: one.facts for one in written}, ensure_ascii=True)


def findings_on_parts(
    written: Sequence[WrittenParts], options: ConvertOptions
) -> Iterator[Finding]:
    """Yield what the result does not have of tensors whose parts are written."""
    if written and not TARGETS[options.to].HOLDS_METADATA and options.receipt is None:
        yield finding(
            rules.UNREAD_ENTRY,
            f"the class, type and shape of {count(len(written), 'tensor')} that are written as "
            f"parts are not in the result: {options.to} holds no metadata",
            tensors=[one.name for one in written],
            fix="Write them into a receipt with --receipt FILE.json, or convert --to safetensors.",
        )


def way_around(unread: Sequence[tuple[str, str]], in_parts: Sequence[InParts], parts: bool) -> str:
    """Return what to do about tensors that cannot be read.

    Args:
        unread: (name, reason) of them.
        in_parts: what is known of those of the file.
        parts: whether their parts are asked for.
    """
    names = {name for name, _ in unread}
    known = [one for one in in_parts if one.name in names]
    gathered = way_to(known)
    if gathered is not None and len(known) == len(names):
        return f"{gathered} Or leave it out with --exclude."
    if not parts and any(one.parts for one in known):
        return f"--parts writes the plain tensors that it is made of. {_OUT}"
    return _OUT
