"""What two files are, as rows of a report: what both have alike once, and nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from rich.text import Text

from ckpttool.findings.text import printable
from ckpttool.reports.terminal.facts import describe
from ckpttool.reports.terminal.findings import write_findings
from ckpttool.reports.terminal.page import styled

if TYPE_CHECKING:
    from ckpttool.comparison.result import StructureDiff
    from ckpttool.findings.results import FileReport
    from ckpttool.reports.terminal.page import Page

#: What the description of a file tells, so that no row of its own has to.
_DESCRIBED = frozenset({"container", "wrapper", "layout"})
_HANG = 15
_LONG = 400


def write_findings_of(page: Page, label: str, file: FileReport) -> None:
    """Write what was found in one of the files, under its label and path."""
    if file.findings:
        page.blank()
        page.line(styled(f"{label}: ", "dim").append(printable(file.path), "bold"), 2, 4)
        write_findings(page, file.findings)


def write_files(page: Page, labels: Sequence[str], files: Sequence[FileReport]) -> None:
    """Write a row for each file that could be opened; one for both where they are alike."""
    described = [describe(file) if file.format is not None else "" for file in files]
    if len(files) > 1 and described[0] and len(set(described)) == 1:
        page.row("both", Text(described[0]), 2, _HANG)
        return
    for label, told in zip(labels, described):
        if told:
            page.row(label, Text(told), 2, _HANG)


def write_structure(
    page: Page, structure: Sequence[StructureDiff], between: str, *, described: bool
) -> None:
    """Write the properties that differ, but for those that the files' rows tell.

    Args:
        page: where to.
        structure: the properties.
        between: what stands between the two sides.
        described: whether the files have rows.
    """
    facts = [one for one in structure if not (described and one.name in _DESCRIBED)]
    hang = max([_HANG, *(len(printable(one.name)) + 4 for one in facts)])
    for fact in facts:
        sides = (printable(side, _LONG) for side in (fact.left, fact.right))
        page.row(printable(fact.name), Text(between.join(sides)), 2, hang)
