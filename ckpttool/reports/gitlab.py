"""GitLab's code quality report, which merge requests show; waived findings are left out.

GitLab compares the fingerprints of two branches, and shows a fingerprint that stands twice only
once, so each is a finding's identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from ckpttool.reports.details import LONG
from ckpttool.reports.json import dump
from ckpttool.reports.located import Located, located
from ckpttool.rules import Severity
from ckpttool.text import printable

if TYPE_CHECKING:
    from ckpttool.results import Report

_SEVERITIES = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.NOTE: "info"}


def write(report: Report, stream: TextIO) -> None:
    """Write a list of issues; an empty one where nothing was found."""
    paths = [file.lock or file.path for file in report.files]
    # GitLab refuses an issue without a file: what concerns the whole run is shown at the first
    anywhere = paths[0] if paths else "."
    found = [one for one in located(report) if one.waived is None]
    dump([_issue(one, anywhere) for one in found], stream)


def _issue(one: Located, anywhere: str) -> dict[str, Any]:
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
        "location": {"path": one.path or anywhere, "lines": {"begin": one.line}},
    }
