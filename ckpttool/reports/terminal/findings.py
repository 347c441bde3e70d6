"""Findings and verdicts as text, the same in every report for people."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Iterable, Sequence

from rich.text import Text

from ckpttool.findings.finding import Finding
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import printable
from ckpttool.reports.details import LONG, details_of, fix_of
from ckpttool.reports.terminal.page import BAD, DOUBTFUL, TOLD, styled

if TYPE_CHECKING:
    from ckpttool.findings.results import Waived
    from ckpttool.reports.terminal.page import Page

#: The style of each severity, wherever its word stands.
STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "cyan"}
# The word of a severity is written too, so that a report can do without its sign.
_SIGNS = {Severity.ERROR: BAD, Severity.WARNING: DOUBTFUL, Severity.NOTE: TOLD}


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order of a report: errors first, each severity in its own order."""
    return sorted(findings, key=lambda found: -found.severity.weight)


def write_findings(page: Page, findings: Sequence[Finding]) -> None:
    """Write findings in their order, each with where it is and what to do."""
    # several of one rule under one head, so that the same advice is not repeated for each
    for _, alike in groupby(findings, key=lambda found: (found.rule, found.severity, found.fix)):
        group = list(alike)
        if len(group) == 1:
            _write_one(page, group[0])
        else:
            _write_several(page, group)


def _write_one(page: Page, finding: Finding) -> None:
    _write_head(page, finding, f": {printable(finding.message, LONG)}")
    for label, text in details_of(finding).items():
        page.row(label, Text(text), 6, 16)


def write_shared(page: Page, finding: Finding, files: str) -> None:
    """Write a finding on several files, with which ones."""
    _write_head(page, finding, f": {printable(finding.message, LONG)}")
    for label, text in {"files": files, **details_of(finding)}.items():
        page.row(label, Text(text), 6, 16)


def _write_several(page: Page, group: list[Finding]) -> None:
    first = group[0]
    same = all(finding.message == first.message for finding in group)
    _write_head(page, first, f" ({len(group):,} times): {_told(first, same)}")
    for finding in group:
        parts = [finding.tensor] if finding.tensor else []
        parts += [] if same and parts else [finding.message]
        details = details_of(finding)
        sides = [f"{side} {details[side]}" for side in ("expected", "found") if side in details]
        told = [*(printable(part, LONG) for part in parts), *([", ".join(sides)] if sides else [])]
        page.line(Text(f"{page.sign(TOLD)} {': '.join(told)}"), 6, 8)
    fix = fix_of(group[0])
    if fix is not None:
        page.row("fix", Text(printable(fix, LONG)), 6, 16)


def _told(first: Finding, same: bool) -> str:
    """Return what several findings have in common: their message, or what their rule means."""
    return printable(first.message, LONG) if same and first.tensor else first.rule.meaning


def _write_head(page: Page, finding: Finding, rest: str, waived: bool = False) -> None:
    text = severity_text(page, finding.severity).append(" ")
    if waived:
        text = styled(f"{page.sign(TOLD)} waived {finding.severity.value} ", "dim")
    text.append_text(page.code(printable(finding.rule.code), printable(finding.rule.name)))
    text.append(rest)
    page.line(text, 2, 6)


def severity_text(page: Page, severity: Severity) -> Text:
    """Return the sign and the word of a severity, all of one width."""
    word = severity.value.ljust(len("warning"))
    return styled(f"{page.sign(_SIGNS[severity])} {word}", STYLES[severity])


def write_waived(page: Page, waived: Sequence[Waived]) -> None:
    """Write the findings that are waived, with reason, owner and last day."""
    for one in waived:
        _write_head(page, one.finding, f": {printable(one.finding.message, LONG)}", waived=True)
        told = {
            "tensor": one.finding.tensor,
            "reason": one.reason,
            "owner": one.owner,
            "expires": one.expires,
        }
        for label, value in told.items():
            if value is not None:
                page.row(label, Text(printable(value, LONG)), 6, 16)
