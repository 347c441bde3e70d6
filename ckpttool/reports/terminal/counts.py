"""Findings counted, in the same words in every report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.findings.results import Report


def counts(findings: Sequence[Finding], waived: int = 0) -> str:
    """Return how many errors, warnings and notes there are, and how many are waived, in words."""
    numbers = [
        (sum(1 for finding in findings if finding.severity is severity), severity.value)
        for severity in Severity
    ]
    told = [count(number, word) for number, word in numbers]
    return ", ".join([*told, f"{waived:,} waived"] if waived else told)


def counts_of(report: Report) -> str:
    """Return the same for all files of a run, and for the run itself."""
    return counts(report.findings, sum(len(file.waived) for file in report.files))
