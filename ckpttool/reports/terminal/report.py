"""The report of ``verify`` as text: the verdict, then findings, the worst first, then facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from rich.text import Text

from ckpttool.findings.finding import Verdict
from ckpttool.findings.inventory import account
from ckpttool.findings.text import count
from ckpttool.reports.counts import counts
from ckpttool.reports.terminal.batch import Batch
from ckpttool.reports.terminal.facts import (
    untold,
    write_configuration,
    write_facts,
    write_unchecked,
)
from ckpttool.reports.terminal.findings import worst_first, write_findings, write_waived
from ckpttool.reports.terminal.headline import VERDICTS, sign_text
from ckpttool.reports.terminal.inventory import write_inventory
from ckpttool.reports.terminal.page import Page, styled
from ckpttool.reports.terminal.verdict import write_verdict
from ckpttool.reports.terminal.view import TextView

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport, Report


def write(report: Report, stream: TextIO, view: TextView = TextView()) -> None:  # noqa: B008 (a constant)
    """Write the report on a run of ``verify``; of several files, what they share only once."""
    page = Page(stream)
    several = Batch(page, report, view) if len(report.files) > 1 else None
    if several is not None:
        several.write_details()
    elif report.files:
        _write_file(page, report.files[0], view)
    if account(report.inventory):  # else the files of the report are all that there is
        page.blank()
        write_inventory(page, report.inventory)
    if report.of_run:
        page.blank()
        page.line(styled("run", "bold"))
        write_findings(page, worst_first(report.of_run))
    if several is not None:
        several.write_table()
    # of one file alone, its first line says it all
    if len(report.files) != 1 or report.of_run or report.inventory:
        page.blank()
        verdict = sign_text(page, VERDICTS[report.verdict])
        page.line(verdict + Text(f" {_totals(report)}"), 0, 2)


def _write_file(page: Page, file: FileReport, view: TextView) -> None:
    write_verdict(page, file)
    if file.findings:
        page.blank()
        write_findings(page, worst_first(file.findings))
    if file.waived and view.show_waived:
        page.blank()
        write_waived(page, file.waived)
    unchecked = untold(file, file.findings)
    if file.format is not None or file.configuration is not None or unchecked:
        page.blank()
    write_facts(page, file)
    write_configuration(page, [file])
    write_unchecked(page, unchecked)


def _totals(report: Report) -> str:
    verdicts = [file.verdict for file in report.files]
    numbers = [
        (verdicts.count(Verdict.PASS), "pass"),
        (verdicts.count(Verdict.FAIL), "fail"),
        (verdicts.count(Verdict.CANNOT_TELL), "cannot tell"),
    ]
    told = ", ".join(f"{number:,} {word}" for number, word in numbers if number)
    text = f"{count(len(verdicts), 'file')}"
    text += f": {told}" if told else ""
    waived = sum(len(file.waived) for file in report.files)
    text += f"; {waived:,} waived" if waived else ""
    if report.of_run:
        text += f"; the run itself: {counts(report.of_run)}"
    beside = account(report.inventory)
    return f"{text}; {beside}" if beside else text
