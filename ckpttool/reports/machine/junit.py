"""JUnit XML, as CI systems show test results: a suite per file, a case per family of rules.

A case fails by findings as severe as ``fail_on``; what was not looked at is a skipped case.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Iterator, List, NamedTuple, Sequence, TextIO

from ckpttool.findings.finding import Verdict
from ckpttool.findings.inventory import Standing, of
from ckpttool.findings.text import printable
from ckpttool.reports.details import LONG, fix_of
from ckpttool.reports.machine.concise import RUN, line_of

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.findings.results import FileReport, Report, Waived
    from ckpttool.findings.rules import Severity

# Families of rules, in the order of the cases. Not the titles of the table of rules: CI systems
# know a case by its name from run to run, so these words are never changed.
CASE_NAMES = {
    "FIL": "container",
    "SEC": "safety",
    "INT": "integrity",
    "STR": "structure",
    "NUM": "values",
    "MOD": "model meaning",
    "DIF": "lock file",
    "HUB": "release conventions",
    "CFG": "configuration",
    "CVT": "conversion",
}
#: Cases of every file, so that a CI system can say since when one fails.
ALWAYS = ("FIL", "SEC", "INT", "STR", "NUM", "MOD")


class _Case(NamedTuple):
    """A test case; ``outcome`` is the XML element of one that did not pass."""

    name: str
    outcome: str | None = None
    message: str = ""
    type: str = ""
    lines: tuple[str, ...] = ()


class _Suite(NamedTuple):
    name: str
    cases: List[_Case]
    properties: dict[str, object] = {}  # noqa: RUF012 (never changed)

    def number(self, outcome: str) -> int:
        """Return how many cases have this outcome."""
        return sum(1 for case in self.cases if case.outcome == outcome)


def write(report: Report, stream: TextIO) -> None:
    """Write a suite for each file, and one for the run where it has findings."""
    suites = [_suite(file) for file in report.files]
    of_run = list(_run_cases(report))
    if of_run:
        suites.append(_Suite(RUN, of_run, _run_properties(report)))
    numbers = {
        "tests": sum(len(suite.cases) for suite in suites),
        "failures": sum(suite.number("failure") for suite in suites),
        "errors": sum(suite.number("error") for suite in suites),
    }
    stream.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    stream.write(f"<testsuites{_attributes(name='ckpttool verify', **numbers)}>\n")
    for suite in suites:
        stream.writelines(f"  {line}\n" for line in _suite_lines(suite))
    stream.write("</testsuites>\n")


# --- what the cases are ------------------------------------------------------------------


def _suite(file: FileReport) -> _Suite:
    cases = [_family_case(file, family, file.fail_on) for family in _families(file)]
    # where the reading stopped, the cases of the families are skipped already
    skipped = () if file.stopped else file.unchecked
    if file.values is not None and not file.values.checksums:
        skipped = (*skipped, "stored checksums (there are none)")
    cases += [_Case(f"not checked: {text}", "skipped", text) for text in skipped]
    return _Suite(file.path, cases, _properties(file))


def _families(file: FileReport) -> list[str]:
    """Return the letters of the families that are cases of a file, in their order."""
    found = {one.rule.letters for one in (*file.findings, *(one.finding for one in file.waived))}
    found |= {*ALWAYS, *(["DIF"] if file.lock is not None else [])}
    return _in_order(found)


def _in_order(letters: set[str]) -> list[str]:
    known = [family for family in CASE_NAMES if family in letters]
    return [*known, *sorted(letters.difference(known))]  # the rest: of a newer version


def _family_case(file: FileReport, family: str, fail_on: Severity) -> _Case:
    findings = [found for found in file.findings if found.rule.letters == family]
    waived = [one for one in file.waived if one.finding.rule.letters == family]
    case = _judged(family, findings, fail_on)
    case = case._replace(lines=(*case.lines, *map(_waived_line, waived)))
    if case.outcome is not None:
        # JUnit's failure says that the code is wrong, its error that the test could not run
        cannot_tell = file.verdict is Verdict.CANNOT_TELL
        return case._replace(outcome="error") if cannot_tell else case
    reason = _not_looked_at(file, family)
    return case if reason is None else case._replace(outcome="skipped", message=reason)


def _judged(family: str, findings: Sequence[Finding], fail_on: Severity) -> _Case:
    """Return the case of a family: failed if a finding is severe enough, else passed."""
    name = f"{family} {CASE_NAMES[family]}" if family in CASE_NAMES else family
    case = _Case(name, lines=tuple(map(_line, findings)))
    undecided = [found for found in findings if found.rule.undecided]
    failing = [found for found in findings if found not in undecided]
    heavy = [found for found in failing if found.severity.weight >= fail_on.weight]
    if undecided and not heavy:  # the test could not run, and nothing says that the file is wrong
        codes = ", ".join(dict.fromkeys(found.rule.code for found in undecided))
        return case._replace(outcome="error", message=_headline(undecided), type=codes)
    if not heavy:
        return case
    codes = ", ".join(dict.fromkeys(found.rule.code for found in heavy))
    return case._replace(outcome="failure", message=_headline(heavy), type=codes)


def _headline(findings: Sequence[Finding]) -> str:
    first = f"{findings[0].rule.code} {findings[0].rule.name}: {findings[0].message}"
    return first if len(findings) == 1 else f"{first} (and {len(findings) - 1:,} more)"


def _not_looked_at(file: FileReport, family: str) -> str | None:
    """Return why nothing can be said about a family; ``None`` where something can."""
    if file.stopped:
        return "the file could not be read so far"
    if family == "NUM" and (file.values is None or file.values.skipped):
        return "not every tensor was read"
    return None


def _run_cases(report: Report) -> Iterator[_Case]:
    for family in _in_order({found.rule.letters for found in report.of_run}):
        findings = [found for found in report.of_run if found.rule.letters == family]
        yield _judged(family, findings, report.fail_on)
    for item in of(report.inventory, Standing.UNSEEN, Standing.EXCLUDED):
        text = f"{item.path}: {item.what}"
        yield _Case(f"{item.standing.value}: {text}", "skipped", text)


def _run_properties(report: Report) -> dict[str, object]:
    """Return how many files have which standing."""
    standings = [item.standing for item in report.inventory]
    return {f"files {each.value}": standings.count(each) for each in Standing if each in standings}


def _waived_line(waived: Waived) -> str:
    return f"{_line(waived.finding)} (waived: {printable(waived.reason, LONG)})"


def _line(finding: Finding) -> str:
    fix = fix_of(finding)
    return line_of(finding) if fix is None else f"{line_of(finding)}. {printable(fix, LONG)}"


def _properties(file: FileReport) -> dict[str, object]:
    told = {
        "verdict": file.verdict.value,
        "format": file.format,
        "size": file.size,
        "layout": file.layout,
        "tensors": file.tensors,
        "parameters": file.parameters,
        "diagnosis": file.diagnosis and printable(file.diagnosis.text, LONG),
        "fingerprint": file.fingerprint,
        "lock": file.lock,
        "configuration": file.configuration and file.configuration.path,
        "configuration-sha256": file.configuration and file.configuration.sha256,
        "waived": len(file.waived) or None,
    }
    return {name: value for name, value in told.items() if value is not None}


# --- how they are written ----------------------------------------------------------------


def _suite_lines(suite: _Suite) -> Iterator[str]:
    numbers = {
        "tests": len(suite.cases),
        "failures": suite.number("failure"),
        "errors": suite.number("error"),
        "skipped": suite.number("skipped"),
    }
    yield f"<testsuite{_attributes(name=suite.name, **numbers)}>"
    if suite.properties:
        yield "  <properties>"
        for name, value in suite.properties.items():
            yield f"    <property{_attributes(name=name, value=value)}/>"
        yield "  </properties>"
    # viewers split this at the last dot into package and class, so the name must have none
    classname = f"ckpttool.{suite.name.replace('.', '_')}"
    for case in suite.cases:
        for line in _case_lines(classname, case):
            yield f"  {line}"
    yield "</testsuite>"


def _case_lines(classname: str, case: _Case) -> Iterator[str]:
    head = f"<testcase{_attributes(classname=classname, name=case.name)}"
    text = "\n".join(map(_escaped, case.lines))
    if case.outcome is None and not text:
        yield f"{head}/>"
        return
    yield f"{head}>"
    if case.outcome in ("failure", "error"):
        attributes = _attributes(message=case.message, type=case.type)
        yield f"  <{case.outcome}{attributes}>{text}</{case.outcome}>"
    elif case.outcome is not None:
        yield f"  <{case.outcome}{_attributes(message=case.message)}/>"
    if text and case.outcome not in ("failure", "error"):  # notes and waived findings
        yield f"  <system-out>{text}</system-out>"
    yield "</testcase>"


def _attributes(**values: object) -> str:
    return "".join(f' {name}="{_escaped(str(value))}"' for name, value in values.items())


def _escaped(text: str) -> str:
    """Return text that XML may hold."""
    # printable() first, as XML 1.0 forbids control characters even as references. ASCII, so that
    # the declared encoding is right whatever that of standard output is.
    return escape(printable(text, LONG)).encode("ascii", "xmlcharrefreplace").decode("ascii")
