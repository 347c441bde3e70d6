"""What a conversion leaves in the source: told by name and bytes, and refused where it is most."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Iterator

from ckpttool import rules
from ckpttool.facts import listed_rows, state_dicts_not_taken, tensors_not_taken, way_to_others
from ckpttool.findings import Finding, finding
from ckpttool.rules import Severity
from ckpttool.text import size

if TYPE_CHECKING:
    from ckpttool.conversion.options import ConvertOptions
    from ckpttool.tensors import Checkpoint, Entry

# Entries that a finding spells out.
_SHOWN = 20


def findings_on_rest(checkpoint: Checkpoint, options: ConvertOptions) -> Iterator[Finding]:
    """Yield what is left out: other state dicts, other tensors, the state of the model."""
    if options.wrapper is None:
        yield from _most(checkpoint)
    yield from state_dicts_not_taken(checkpoint, "not converted")
    for found in tensors_not_taken(checkpoint, "not converted"):
        yield found._replace(severity=Severity.WARNING)
    yield from _model_state(checkpoint, options)


def _most(checkpoint: Checkpoint) -> Iterator[Finding]:
    """Refuse to choose where most bytes of the tensors would stay behind."""
    rest = [row for row in checkpoint.outside if not row.is_average]
    taken = sum(info.nbytes for info in checkpoint.tensors.values()) if rest else 0
    taken += checkpoint.unread_bytes
    left = sum(row.nbytes for row in rest)
    if left > taken:
        chosen = checkpoint.wrapper
        several = len(checkpoint.wrappers) > 1
        under = f"the state dict under '{chosen}'" if chosen else "the state dict at the root"
        way = f". {way_to_others(checkpoint)}" if several else ""
        yield finding(
            rules.MOST_OUTSIDE,
            f"{under} has {size(taken)} of tensors, and {size(left)} lie outside of it: "
            f"{listed_rows(checkpoint, rest)}",
            fix=f"If that is the right one, say so with --wrapper {quote(chosen or '')}{way}.",
        )


def _model_state(checkpoint: Checkpoint, options: ConvertOptions) -> Iterator[Finding]:
    inside = [entry for entry in checkpoint.entries if entry.inside]
    if inside:
        listed = ", ".join(map(_told, inside[:_SHOWN]))
        more = f" and {len(inside) - _SHOWN:,} more" if len(inside) > _SHOWN else ""
        entries = "1 entry" if len(inside) == 1 else f"{len(inside):,} entries"
        yield finding(
            rules.MODEL_STATE,
            f"left out of the state dict, because they are no tensors: {entries}, {listed}{more}",
            fix="Put them back from the sidecar where the module needs them."
            if options.sidecar
            else None,
        )


def _told(entry: Entry) -> str:
    return f"{entry.key} ({entry.kind} {entry.summary})".replace(" )", ")")
