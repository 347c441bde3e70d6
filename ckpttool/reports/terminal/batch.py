"""The report on several files: details of those that do not pass, a table of all, the rest once.

What several files have in common (a folder without a licence, for example) is said once, with
their names.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Sequence

from rich.text import Text

from ckpttool.findings.finding import Finding, Verdict, deciding
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, printable, some_of
from ckpttool.reports.terminal.cells import columns, padded
from ckpttool.reports.terminal.facts import (
    untold,
    write_configuration,
    write_facts,
    write_unchecked,
)
from ckpttool.reports.terminal.findings import (
    worst_first,
    write_findings,
    write_shared,
    write_waived,
)
from ckpttool.reports.terminal.headline import VERDICTS, joined, sign_text
from ckpttool.reports.terminal.page import styled
from ckpttool.reports.terminal.pictures import write_reconstructions
from ckpttool.reports.terminal.verdict import ALWAYS, found_in, what_it_is, write_verdict

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport, Report
    from ckpttool.reports.terminal.page import Page
    from ckpttool.reports.terminal.view import TextView

_DETAILED = 50  # files that do not pass and are told of in full, before the table has to do
_PASSED = 40  # rows of files that pass, before the rest is counted
_SHARED = 40  # lines of what several files share, before the rest is counted
_FEW = 2  # files of a folder that are named rather than called all of it
_NAMED = 4  # files that are named beside something that they share
_WIDEST = 60  # columns of paths; a longer one gets a line of its own
_ORDER = (Verdict.FAIL, Verdict.CANNOT_TELL, Verdict.PASS)


class Batch:
    """Several files on a page.

    Args:
        page: where to.
        report: of two files or more.
        view: with ``verbose``, nothing is left to the table.
    """

    def __init__(self, page: Page, report: Report, view: TextView) -> None:
        self._page = page
        self._files = report.files
        self._view = view
        told = [file for file in report.files if self._has_details(file)]
        self._detailed = {id(file) for file in (told if view.verbose else told[:_DETAILED])}
        self._more = len(told) - len(self._detailed)
        self._least = report.fail_on
        self._folders = Counter(map(_folder, report.files))
        self._findings: dict[Finding, list[FileReport]] = defaultdict(list)
        self._unchecked: dict[str, list[FileReport]] = defaultdict(list)
        for file in report.files:
            # what decides is told with its file, however many share it
            lighter = [one for one in file.findings if not deciding([one], self._least)]
            for finding in dict.fromkeys(lighter):
                self._findings[finding].append(file)
        for file in report.files:
            shown = [one for one in file.findings if self._is_told(file) or self._is_shared(one)]
            # an error says of its file alone that nothing else was looked at
            for text in () if file.stopped else dict.fromkeys(untold(file, shown)):
                self._unchecked[text].append(file)

    def _has_details(self, file: FileReport) -> bool:
        waived = bool(file.waived) and self._view.show_waived
        return self._view.verbose or waived or file.verdict is not Verdict.PASS

    # --- before the table -----------------------------------------------------------------

    def write_details(self) -> None:
        """Write what is wrong, file by file, and then what several files share."""
        for file in self._files:
            if self._is_told(file):
                self._write_file(file)
        if self._more:
            more = count(self._more, "more file")
            self._page.line(Text(f"and {more}: the table names them, --verbose tells all"), 0, 2)
            self._page.blank()
        self._write_shared()

    def _is_told(self, file: FileReport) -> bool:
        return id(file) in self._detailed

    def _is_shared(self, finding: Finding) -> bool:
        # what fails a file, or leaves it undecided, stands with it
        return not deciding([finding], self._least) and len(self._findings[finding]) > 1

    def _is_named(self, finding: Finding) -> bool:
        return finding.rule.code in ALWAYS or not self._is_shared(finding)

    def _write_file(self, file: FileReport) -> None:
        page = self._page
        own = [finding for finding in file.findings if not self._is_shared(finding)]
        named = [finding for finding in file.findings if self._is_named(finding)]
        write_verdict(page, file, named)
        if own:
            page.blank()
            write_findings(page, worst_first(own))
        if file.waived and self._view.show_waived:
            page.blank()
            write_waived(page, file.waived)
        lines = [text for text in file.unchecked if file.stopped or self._is_of(file, text)]
        if file.format is not None or lines:
            page.blank()
        write_facts(page, file)
        write_unchecked(page, lines)
        page.blank()

    def _is_of(self, file: FileReport, unchecked: str) -> bool:
        files = self._unchecked.get(unchecked, [])
        return len(files) == 1 and files[0] is file

    def _write_shared(self) -> None:
        """Write what several files share, and warnings of files that have no details."""
        shown = [
            (finding, files)
            for finding, files in self._findings.items()
            if self._is_shared(finding)
            or (finding.severity is Severity.WARNING and not self._is_told(files[0]))
        ]
        if not shown:
            return
        shown.sort(key=lambda one: -one[0].severity.weight)
        self._page.line(styled("warnings and notes", "bold"))
        for finding, files in shown[:_SHARED]:
            write_shared(self._page, finding, self._names(files))
        self._write_more(len(shown) - _SHARED, "finding")

    def _names(self, files: Sequence[FileReport]) -> str:
        """Return which files these are: all of them, all of a folder, or some by name."""
        if len(files) == len(self._files):
            return f"all {len(files):,}"
        inside = Counter(_folder(file) for file in files)
        whole = {
            folder
            for folder, number in inside.items()
            if number > _FEW and number == self._folders[folder]
        }
        names = [f"all {inside[folder]:,} in {printable(folder or os.curdir)}" for folder in whole]
        names.sort()
        names += [printable(file.path) for file in files if _folder(file) not in whole]
        return some_of(names, _NAMED)

    def _write_more(self, number: int, noun: str) -> None:
        if number > 0:
            more = count(number, f"more {noun}")
            self._page.line(Text(f"and {more} (--format json lists all)"), 2)

    # --- the table ------------------------------------------------------------------------

    def write_table(self) -> None:
        """Write a row for each file, those that do not pass first, and what was not looked at."""
        page = self._page
        page.blank()
        files = [file for verdict in _ORDER for file in self._files if file.verdict is verdict]
        passed = [file for file in files if file.verdict is Verdict.PASS]
        # those with a warning before those without
        passed.sort(
            key=lambda file: Severity.WARNING not in [one.severity for one in file.findings]
        )
        failed = files[: len(files) - len(passed)]
        shown = [*failed, *(passed if self._view.verbose else passed[:_PASSED])]
        self._write_rows(shown)
        if len(shown) < len(files):
            more = count(len(files) - len(shown), "more file")
            page.line(Text(f"and {more} that pass (--verbose lists them)"), 2)
        self._write_common_facts()

    def _write_rows(self, files: Sequence[FileReport]) -> None:
        page = self._page
        rows = [
            (sign_text(page, VERDICTS[file.verdict]), printable(file.path), self._summary(file))
            for file in files
        ]
        words = max(len(word) for word, _, _ in rows)
        widest = _WIDEST if page.width is None else min(_WIDEST, page.width // 2)
        names = min(max(columns(name) for _, name, _ in rows), widest)
        for (word, name, told), file in zip(rows, files):
            start = word.append(" " * (words - len(word) + 2))
            if columns(name) > names or page.is_narrow:
                page.line(start.append(name, "bold"), 0, 2)
                if told:
                    page.line(told, 4)
            else:
                start.append(padded(name, names), "bold").append("  ")
                page.line(start.append_text(told), 0, words + names + 4)
            if file.fingerprint is not None:
                page.whole("fingerprint", Text(file.fingerprint), 4, 17)
            if not self._is_told(file):  # asked for, file by file
                write_reconstructions(page, file.reconstructions, 4, 17)

    def _summary(self, file: FileReport) -> Text:
        """Return what is worst in a file; of one that passes what it is, and its own findings."""
        if file.verdict is not Verdict.PASS:
            found = deciding(file.findings, file.fail_on)
            return joined(self._page, list(found_in(worst_first(found), notes=True))[:1])
        own = [finding for finding in file.findings if self._is_named(finding)]
        waived = Text(f"{len(file.waived):,} waived" if file.waived else "")
        return joined(self._page, [Text(what_it_is(file)), *found_in(own, notes=True), waived])

    def _write_common_facts(self) -> None:
        """Write the configurations, and what was not looked at in files that share it or pass."""
        self._page.blank()
        write_configuration(self._page, self._files)
        entries = [
            (text, files)
            for text, files in self._unchecked.items()
            if len(files) > 1 or not self._is_told(files[0])
        ]
        for text, files in entries[:_SHARED]:
            write_unchecked(self._page, [f"{text}: {self._names(files)}"])
        self._write_more(len(entries) - _SHARED, "line")


def _folder(file: FileReport) -> str:
    return os.path.dirname(file.path)  # noqa: PTH120 (text)
