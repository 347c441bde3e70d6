"""One line a finding, for grep and for editors: ``path: tensor: CODE severity message``."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from ckpttool.findings.finding import Verdict, deciding
from ckpttool.findings.text import printable
from ckpttool.reports.details import LONG

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.findings.results import Report

#: Takes the place of a path for findings on the run as a whole.
RUN = "(run)"


def write(report: Report, stream: TextIO) -> None:
    """Write a line for each finding that counts, and nothing else."""
    for file in report.files:
        for finding in file.findings:
            stream.write(line_of(finding, file.path) + "\n")
    for finding in report.of_run:
        stream.write(line_of(finding, RUN) + "\n")


def write_failed(report: Report, stream: TextIO) -> None:
    """Write the lines of those findings that fail a file or the run, or leave a file undecided."""
    for file in report.files:
        if file.verdict is not Verdict.PASS:
            for finding in deciding(file.findings, file.fail_on):
                stream.write(line_of(finding, file.path) + "\n")
    for finding in deciding(report.of_run, report.fail_on):
        stream.write(line_of(finding, RUN) + "\n")


def line_of(finding: Finding, path: str | None = None) -> str:
    """Return the line of a finding; without ``path`` where the context names the file."""
    place = [printable(text, LONG) for text in (path, finding.tensor) if text is not None]
    said = f"{finding.rule.code} {finding.severity.value} {printable(finding.message, LONG)}"
    return ": ".join([*place, said])
