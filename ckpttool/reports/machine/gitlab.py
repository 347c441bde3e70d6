"""GitLab's code quality report, which merge requests show.

https://docs.gitlab.com/ci/testing/code_quality/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from ckpttool.findings.rules import Severity
from ckpttool.findings.text import printable
from ckpttool.reports.details import LONG
from ckpttool.reports.machine.json import dump
from ckpttool.reports.machine.located import Located, located

if TYPE_CHECKING:
    from ckpttool.findings.results import Report

# GitLab has five: info, minor, major, critical and blocker.
_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.NOTE: "info"}


def write(report: Report, stream: TextIO) -> None:
    """Write a list of issues; an empty one where nothing was found."""
    # the format has no place for a waiver
    found = [one for one in located(report) if one.waived is None]
    dump([_issue(one) for one in found], stream)


def _issue(one: Located) -> dict[str, Any]:
    finding = one.finding
    text = f"{finding.rule.code} {finding.message}"
    text += "" if finding.tensor is None else f" ({finding.tensor})"
    if one.file is not None and one.file.lock is not None:
        text += f" in {one.file.path}"
    return {
        "description": printable(text, LONG),
        "check_name": finding.rule.code,
        # compared between branches; of two that are equal GitLab shows one
        "fingerprint": one.identity,
        "severity": _SEVERITIES[finding.severity],
        "location": {"path": one.path or ".", "lines": {"begin": one.line}},  # both are required
    }
