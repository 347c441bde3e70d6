"""Reports what a conversion leaves behind in the source, and refuses to leave most of it."""

from __future__ import annotations

import re
from shlex import quote
from typing import TYPE_CHECKING, Iterator, Sequence

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import size, some_of
from ckpttool.formats.state_dicts.training_state import is_called_training
from ckpttool.inspection.not_taken import (
    listed_rows,
    most_outside,
    state_dicts_not_taken,
    tensors_not_taken,
    way_to_others,
)

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.conversion.result import LeftOut
    from ckpttool.tensors.catalogue import Checkpoint, Entry

# Entries that a finding spells out.
_SHOWN = 20
# Kinds of entries without data, or that other findings report.
_NO_DATA = frozenset({"NoneType", "tensor", "storage", "name"})
_SCALARS = frozenset({"bool", "int", "float", "str", "bytes"})
# A training state by its name, but mmengine keeps the names of the classes in it.
_META = "meta"
_EMPTY = re.compile(r"0 (?:entries|items|attributes)")


def findings_on_rest(
    checkpoint: Checkpoint, left_out: Sequence[LeftOut], options: ConvertOptions
) -> Iterator[Finding]:
    """Yield what is left out: other state dicts, other tensors, state of the model, other data."""
    if options.wrapper is None:  # whoever names a wrapper has chosen
        yield from _most(checkpoint)
    for found in state_dicts_not_taken(checkpoint, "not converted"):
        way = way_to_others(checkpoint)
        yield found._replace(fix=f"{way}, or each in a file of its own with --all-wrappers.")
    # Single numbers are a note in verify; here they are lost, which is a warning.
    for found in tensors_not_taken(checkpoint, "not converted"):
        plain = found._replace(severity=Severity.WARNING)
        yield found if _are_attributes(checkpoint) else plain
    yield from _model_state(checkpoint, options)
    if not options.sidecar:
        yield from _data(checkpoint, left_out)


def _are_attributes(checkpoint: Checkpoint) -> bool:
    """Whether only attributes of whole modules are left, which ``state_dict()`` leaves out too."""
    others = {wrapper.key for wrapper in checkpoint.wrappers[1:]}
    return all(row.of_attributes for row in checkpoint.outside if row.key not in others)


def _most(checkpoint: Checkpoint) -> Iterator[Finding]:
    """Refuse to choose a state dict if most bytes of the tensors would stay behind."""
    found = most_outside(checkpoint)
    if found is not None:
        taken, left = found
        rest = [row for row in checkpoint.outside if not row.is_average]
        chosen = checkpoint.wrapper
        several = len(checkpoint.wrappers) > 1
        under = f"the state dict under '{chosen}'" if chosen else "the state dict at the root"
        way = f". {way_to_others(checkpoint)}" if several else ""
        yield finding(
            rules.MOST_OUTSIDE,
            f"{under} has {size(taken)} of tensors, and {size(left)} lie outside of it: "
            f"{listed_rows(checkpoint, rest)}",
            fix=f"If that is the right one, pass --wrapper {quote(chosen or '')}{way}.",
        )


def _model_state(checkpoint: Checkpoint, options: ConvertOptions) -> Iterator[Finding]:
    inside = [entry for entry in checkpoint.entries if entry.inside]
    if inside:
        entries = "1 entry" if len(inside) == 1 else f"{len(inside):,} entries"
        yield finding(
            rules.MODEL_STATE,
            f"left out of the state dict, because they are no tensors: {entries}, {_told(inside)}",
            fix="Put them back from the sidecar where the module needs them."
            if options.sidecar
            else None,
        )


def _data(checkpoint: Checkpoint, left_out: Sequence[LeftOut]) -> Iterator[Finding]:
    """Report data beside the weights that the model may need, such as a vocabulary."""
    # Without tensors, which have a finding of their own, and without the state of the training,
    # which everybody expects to be left out.
    tensors = {entry.key for entry in left_out if entry.nbytes}
    candidates = {entry.key for entry in left_out}.difference(tensors)
    data = [
        entry
        for entry in checkpoint.entries
        if entry.key in candidates
        and not entry.inside
        and (entry.key == _META or not is_called_training(entry.key))
        and entry.kind not in _NO_DATA
        and not _EMPTY.match(entry.summary)
    ]
    if data:
        # Single numbers and names are mostly settings, which the model's code has as well.
        numbers = all(entry.kind in _SCALARS for entry in data)
        yield finding(
            rules.DATA_BESIDE,
            "left out beside the weights, and the model may need it: " + _told(data),
            severity=Severity.NOTE if numbers else None,
        )


def _told(entries: Sequence[Entry]) -> str:
    words = [f"{entry.key} ({entry.kind} {entry.summary})" for entry in entries]
    # a summary may be empty
    return some_of([text.replace(" )", ")") for text in words], _SHOWN)
