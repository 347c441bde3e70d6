"""Counts of findings, in the same words in every report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.findings.results import Report


def counts(findings: Sequence[Finding], waived: int = 0) -> str:
    """Return the numbers of errors, warnings, notes and waived findings, in words."""
    # also those that are 0: "0 errors" is what a reader looks for
    told = [
        count(sum(1 for finding in findings if finding.severity is severity), severity.value)
        for severity in Severity
    ]
    return ", ".join([*told, f"{waived:,} waived"] if waived else told)


def counts_of(report: Report) -> str:
    """Return the same for all files of a run, and for the run itself."""
    return counts(report.findings, sum(len(file.waived) for file in report.files))
