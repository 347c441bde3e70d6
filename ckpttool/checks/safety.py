"""Checks on the names that a pickle refers to. Nothing was imported or called to find them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Sequence

from ckpttool import rules
from ckpttool.findings import Finding, finding
from ckpttool.formats.dangerous import is_dangerous, is_torch_own

if TYPE_CHECKING:
    from ckpttool.checks.examined import Examined
    from ckpttool.tensors import Reference

# Names that are listed; beyond them a count stands.
_SHOWN = 10


def check_dangerous_names(examined: Examined) -> Iterator[Finding]:
    """Fail on names that only an attack has a use for."""
    dangerous = [
        ref for ref in examined.checkpoint.references if is_dangerous(ref.module, ref.name)
    ]
    if dangerous:
        yield finding(
            rules.DANGEROUS_NAME,
            "the pickle refers to code that only an attack needs: "
            + _listed([f"{ref} (at byte {ref.offset:,})" for ref in dangerous]),
            found=_listed(dangerous),
            fix="Do not load this file with torch.load or pickle. Ask its author about it.",
        )


def check_foreign_names(examined: Examined) -> Iterator[Finding]:
    """Note names beyond torch's own; honest files have some, argparse.Namespace say."""
    foreign = [
        ref
        for ref in examined.checkpoint.references
        if not is_torch_own(ref.module, ref.name) and not is_dangerous(ref.module, ref.name)
    ]
    if foreign:
        yield finding(
            rules.FOREIGN_NAME,
            f"the pickle refers to code beyond torch's own: {_listed(foreign)}",
            found=_listed(foreign),
            fix="Publish only the state dict: torch.load(weights_only=True) refuses such names.",
        )


def _listed(names: Sequence[Reference | str]) -> str:
    shown = ", ".join(str(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"
