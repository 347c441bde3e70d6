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
from ckpttool.findings.text import count, printable
from ckpttool.reports.details import LONG
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
        if not view.verbose:  # those that only have waivers to show give way to those that fail
            told.sort(key=lambda file: file.verdict is Verdict.PASS)
        self._detailed = {id(file) for file in (told if view.verbose else told[:_DETAILED])}
        self._more = len(told) - len(self._detailed)
        self._folders = Counter(map(_folder, report.files))
        self._findings: dict[Finding, list[FileReport]] = defaultdict(list)
        self._unchecked: dict[str, list[FileReport]] = defaultdict(list)
        for file in report.files:
            # what decides is told with its file, however many share it
            for finding in dict.fromkeys(file.findings):
                if not _decides(finding, file):
                    self._findings[finding].append(file)
        self._common = self._in_common()
        told_once = {finding for finding, _ in self._common[:_SHARED]}
        for file in report.files:
            own = self._own(file) if self._is_told(file) else []
            shown = [*own, *(one for one in file.findings if one in told_once)]
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

    def _is_shared(self, finding: Finding, file: FileReport) -> bool:
        # what fails a file, or leaves it undecided, stands with it
        return not _decides(finding, file) and len(self._findings[finding]) > 1

    def _own(self, file: FileReport) -> list[Finding]:
        return [finding for finding in file.findings if not self._is_shared(finding, file)]

    def _named(self, file: FileReport) -> list[Finding]:
        return [
            finding
            for finding in file.findings
            if finding.rule.code in ALWAYS or not self._is_shared(finding, file)
        ]

    def _write_file(self, file: FileReport) -> None:
        page = self._page
        own = self._own(file)
        write_verdict(page, file, self._named(file))
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

    def _in_common(self) -> list[tuple[Finding, list[FileReport]]]:
        """Return what several files share, and warnings of files that have no details."""
        found = [
            (finding, files)
            for finding, files in self._findings.items()
            if len(files) > 1
            or (finding.severity is Severity.WARNING and not self._is_told(files[0]))
        ]
        return sorted(found, key=lambda one: -one[0].severity.weight)

    def _write_shared(self) -> None:
        if not self._common:
            return
        self._page.line(styled("warnings and notes", "bold"))
        for finding, files in self._common[:_SHARED]:
            write_shared(self._page, finding, self._names(files))
        self._write_more(len(self._common) - _SHARED, "finding")

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
        told = [
            (f"all {number:,} in {_shown(one or os.curdir)}", number)
            for one, number in inside.items()
            if one in whole
        ]
        told.sort()
        told += [(_shown(file.path), 1) for file in files if _folder(file) not in whole]
        rest = sum(number for _, number in told[_NAMED:])
        more = f" and {count(rest, 'more file')}" if rest else ""
        return ", ".join(name for name, _ in told[:_NAMED]) + more

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
        passed.sort(key=_is_plain)  # last, as not all of them may be shown
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
            (sign_text(page, VERDICTS[file.verdict]), _shown(file.path), self._summary(file))
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
            return joined(self._page, list(found_in(found, fail_on=file.fail_on))[:1])
        own = self._named(file)
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
        # of many, first what most files lack
        entries.sort(key=lambda one: -len(one[1]))
        for text, files in entries[:_SHARED]:
            write_unchecked(self._page, [f"{text}: {self._names(files)}"])
        self._write_more(len(entries) - _SHARED, "line")


def _decides(finding: Finding, file: FileReport) -> bool:
    """Whether a finding fails a file, or leaves it undecided; a run may have several policies."""
    return bool(deciding([finding], file.fail_on))


def _is_plain(file: FileReport) -> bool:
    """Whether nothing is to be said of a file that passes: no warning, and nothing is waived."""
    warned = any(finding.severity is Severity.WARNING for finding in file.findings)
    return not warned and not file.waived


def _shown(path: str) -> str:
    return printable(path, LONG)  # whole, or two long ones may look the same


def _folder(file: FileReport) -> str:
    return os.path.dirname(file.path)  # noqa: PTH120 (text)
