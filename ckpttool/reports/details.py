"""The details of a finding beside its message, the same in every report."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckpttool.findings.rules import Severity
from ckpttool.findings.text import printable

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding

#: Characters of untrusted text that are shown in one place.
LONG = 2000  # enough for long lists of names; a hostile file may have names of megabytes


def details_of(finding: Finding) -> dict[str, str]:
    """Return tensor, expected, found and fix of a finding by these names, safe to print."""
    message = printable(finding.message, LONG)
    told = {"tensor": finding.tensor, "expected": finding.expected, "found": finding.found}
    shown = {name: printable(text, LONG) for name, text in told.items() if text}
    # messages of errors have these details in them already
    shown = {name: text for name, text in shown.items() if not _says(message, text)}
    fix = fix_of(finding)
    return shown if fix is None else {**shown, "fix": printable(fix, LONG)}


def _says(message: str, text: str) -> bool:
    """Whether a message contains a text as a word."""
    # \b would find "1" in "1.5" and "norm" in "norm.bias"
    return re.search(rf"(?<![\w.]){re.escape(text)}(?![\w.])", message) is not None


def fix_of(finding: Finding) -> str | None:
    """Return what to do about a finding; a note asks for nothing unless it says so itself."""
    if finding.fix is None and finding.severity is Severity.NOTE:
        return None
    return finding.advice or None
