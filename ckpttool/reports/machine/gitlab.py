"""GitLab's code quality report, which merge requests show; waived findings are left out.

GitLab compares the fingerprints of two branches, and shows a fingerprint that stands twice only
once, so each is a finding's identity.
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

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.NOTE: "info"}


def write(report: Report, stream: TextIO) -> None:
    """Write a list of issues; an empty one where nothing was found."""
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
        "fingerprint": one.identity,
        "severity": _SEVERITIES[finding.severity],
        "location": {"path": one.path or ".", "lines": {"begin": one.line}},
    }
