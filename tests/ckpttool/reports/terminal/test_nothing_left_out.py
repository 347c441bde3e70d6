"""The text says all that a person relies on: held to the results of real runs."""

from __future__ import annotations

import io
import re
from typing import Dict, Iterator, List, Sequence, Set, Tuple

from ckpttool.findings.finding import Finding, Verdict, deciding, verdict_of
from ckpttool.findings.results import FileReport, Report
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import printable
from ckpttool.reports.details import LONG, details_of
from ckpttool.reports.machine.concise import write_failed
from ckpttool.reports.terminal.headline import VERDICTS
from ckpttool.reports.terminal.report import write
from ckpttool.reports.terminal.view import TextView
from tests.builders.verified import Results

_VERDICT = re.compile(r"^\S (PASS|FAIL|CANNOT TELL) ", re.MULTILINE)
_PER_RUN = 40  # files: fewer than may be told in full


def text_of(*files: FileReport, verbose: bool = False) -> str:
    stream = io.StringIO()
    write(Report(files), stream, TextView(verbose=verbose))
    return stream.getvalue()


def parts_of(finding: Finding) -> List[str]:
    """What a reader must find of a finding."""
    return [finding.rule.code, printable(finding.message, LONG), *details_of(finding).values()]


def untold(file: FileReport, page: str) -> Iterator[str]:
    """What was not looked at and is not on a page, be it in other words."""
    for text in file.unchecked:
        what, _, why = text.rstrip(")").rpartition(" (")
        by_finding = {
            "the forward pass": f"the forward pass was not run: {printable(why, LONG)}",
            "names, shapes and dtypes": f"{why}: names and shapes were not checked",
        }
        if printable(text, LONG) not in page and by_finding.get(what, text) not in page:
            yield text


def failed(*files: FileReport) -> List[str]:
    stream = io.StringIO()
    write_failed(Report(files), stream)
    return stream.getvalue().splitlines()


def runs_of(results: Results) -> Iterator[Sequence[FileReport]]:
    """The results, in runs of several files."""
    files = list(results.values())
    for start in range(0, len(files), _PER_RUN):
        yield files[start : start + _PER_RUN]


# --- one file ---------------------------------------------------------------------------


def test_every_verdict_is_among_these_results(results: Results) -> None:
    assert {file.verdict for file in results.values()} == set(Verdict)
    assert len({one.rule.code for file in results.values() for one in file.findings}) > 100


def test_the_verdict_is_said_once_in_the_first_line(results: Results) -> None:
    for name, file in results.items():
        page = text_of(file)
        assert _VERDICT.findall(page) == [VERDICTS[file.verdict].word], name
        assert page.startswith(f"{VERDICTS[file.verdict].character} "), name


def test_the_exit_code_is_that_of_the_verdict_and_of_the_findings(results: Results) -> None:
    for name, file in results.items():
        assert Report((file,)).exit_code == file.verdict.exit_code, name
        if not file.stopped:
            assert verdict_of(file.findings, file.fail_on) is file.verdict, name


def test_every_finding_is_there_with_all_of_it(results: Results) -> None:
    for name, file in results.items():
        page = text_of(file)
        for finding in file.findings:
            missing = [part for part in parts_of(finding) if part not in page]
            assert not missing, (name, finding.rule.code)


def test_what_was_not_looked_at_is_there(results: Results) -> None:
    for name, file in results.items():
        assert not list(untold(file, text_of(file))), name


def test_a_quiet_run_has_every_finding_that_fails(results: Results) -> None:
    for name, file in results.items():
        lines = failed(file)
        decide = [] if file.verdict is Verdict.PASS else deciding(file.findings, file.fail_on)
        assert len(lines) == len(decide), name
        assert bool(lines) == (file.verdict is not Verdict.PASS), name
        for finding, line in zip(decide, lines):
            assert line.startswith(f"{file.path}: "), name
            assert finding.rule.code in line, name
            assert printable(finding.message, LONG) in line, name


# --- several ----------------------------------------------------------------------------


def test_a_run_tells_all_of_what_fails_and_every_warning(results: Results) -> None:
    for files in runs_of(results):
        page = text_of(*files)
        for file in files:
            for finding in file.findings:
                if file.verdict is not Verdict.PASS or finding.severity is not Severity.NOTE:
                    missing = [part for part in parts_of(finding) if part not in page]
                    assert not missing, (file.path, finding.rule.code)
            assert not list(untold(file, page)), file.path


def test_a_run_with_verbose_tells_everything(results: Results) -> None:
    for files in runs_of(results):
        page = text_of(*files, verbose=True)
        for file in files:
            for finding in file.findings:
                missing = [part for part in parts_of(finding) if part not in page]
                assert not missing, (file.path, finding.rule.code)
            assert not list(untold(file, page)), file.path


def test_the_table_has_each_file_once_with_its_verdict(results: Results) -> None:
    for files in runs_of(results):
        page = text_of(*files)
        for file in files:
            # the first line of the details has one space there
            row = rf"^\S (PASS|FAIL|CANNOT TELL)  +{re.escape(file.path)}(?:  |$)"
            assert re.findall(row, page, re.MULTILINE) == [VERDICTS[file.verdict].word], file.path


def test_a_finding_of_several_files_holds_for_each_that_is_named(results: Results) -> None:
    seen = 0
    for files in runs_of(results):
        for head, details in shared_of(text_of(*files)):
            told = details.pop("files")
            findings = {one for file in files for one in lighter_of(file) if said(one, head)}
            (finding,) = [one for one in findings if details_of(one) == details]
            theirs = [file for file in files if finding in lighter_of(file)]
            assert names_all(told, theirs, files), (head, told)
            seen += 1
    assert seen > 20


def test_what_was_not_looked_at_in_several_files_holds_for_each_that_is_named(
    results: Results,
) -> None:
    seen = 0
    for files in runs_of(results):
        for row in re.findall(r"^  not checked  (.*)$", text_of(*files), re.MULTILINE):
            for text in {text for file in files for text in file.unchecked}:
                if row.startswith(f"{text}: "):
                    theirs = [file for file in files if text in file.unchecked]
                    listed = paths_in(row[len(text) + 2 :], files)
                    assert listed <= {file.path for file in theirs}, row
                    seen += 1
    assert seen > 10


def shared_of(page: str) -> Iterator[Tuple[str, Dict[str, str]]]:
    """The head of each finding of several files, and its rows by their labels."""
    lines = iter([*page.splitlines(), ""])
    head, rows = "", {}
    for line in lines:
        if line.startswith("      ") and not line.startswith("      \u00b7"):
            label, _, text = line.strip().partition(" ")
            rows[label] = text.strip()
            continue
        if "files" in rows:
            yield head, rows
        head, rows = line, {}


def lighter_of(file: FileReport) -> List[Finding]:
    """The findings of a file that do not decide on it."""
    return [one for one in file.findings if one not in deciding(file.findings, file.fail_on)]


def said(finding: Finding, head: str) -> bool:
    message = printable(finding.message, LONG)
    return head.endswith(f"{finding.rule.code} {finding.rule.name}: {message}")


def names_all(told: str, theirs: Sequence[FileReport], files: Sequence[FileReport]) -> bool:
    """Whether a row names these files, and says how many more where it is cut."""
    more = re.search(r" and ([\d,]+) more files?$", told)
    listed = paths_in(told, files)
    number = len(listed) + (int(more.group(1)) if more else 0)
    return number == len(theirs) and listed <= {file.path for file in theirs}


def paths_in(told: str, files: Sequence[FileReport]) -> Set[str]:
    """The files that a row names: all, or some."""
    if told == f"all {len(files)}":
        return {file.path for file in files}
    return set(re.sub(r" and [\d,]+ more files?$", "", told).split(", "))
