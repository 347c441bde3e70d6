"""Checks on the parts of tensors that are more than bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, printable

if TYPE_CHECKING:
    from ckpttool.verification.evidence import Evidence

_SHOWN = 20


def check_parts(evidence: Evidence) -> Iterator[Finding]:
    """Parts that hold NaN or infinity, and indices beyond the shape of their tensor."""
    parts = evidence.parts
    if parts.nan:
        numbers = count(sum(parts.nan.values()), "number")
        yield finding(
            rules.NAN,
            f"{numbers} NaN in parts of tensors that are not read as a whole",
            tensors=list(parts.nan),
        )
    if parts.infinite:
        numbers = count(sum(parts.infinite.values()), "number")
        yield finding(
            rules.INFINITE,
            f"{numbers} infinite in parts of tensors that are not read as a whole",
            # a sparse attention mask holds them on purpose
            severity=Severity.WARNING,
            tensors=list(parts.infinite),
        )
    for name, below, found in parts.outside[:_SHOWN]:
        yield finding(
            rules.GEOMETRY,
            f"an index in {printable(name)} lies outside of the tensor's shape",
            tensors=[name],
            expected=f"0 to {below - 1:,}",
            found=f"{found:,}",
            fix="Save it again from the tensor that it was made of.",
        )
    rest = parts.outside[_SHOWN:]
    if rest:
        yield finding(
            rules.GEOMETRY,
            f"{count(len(rest), 'more tensor')} with indices outside of the shape",
            tensors=[name for name, _, _ in rest],
            fix="Save them again from the tensors that they were made of.",
        )
