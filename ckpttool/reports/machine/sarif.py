"""SARIF 2.1.0, in the subset that GitHub's code scanning takes and other viewers understand.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Iterable, Iterator, TextIO
from urllib.parse import quote

from ckpttool._version import HOMEPAGE
from ckpttool.findings.finding import Verdict
from ckpttool.findings.inventory import Standing, account, of
from ckpttool.findings.rules import RULES, Rule, Severity
from ckpttool.findings.text import count, printable
from ckpttool.reports.details import LONG
from ckpttool.reports.links import published
from ckpttool.reports.machine.json import dump
from ckpttool.reports.machine.located import Located, located

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport, Report

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

# Limits of code scanning: https://docs.github.com/code-security/code-scanning/
# integrating-with-code-scanning/sarif-support-for-code-scanning
#: Results that are shown of one run; a file with five times as many is refused.
MOST_RESULTS = 5000
#: Locations of one result; the message names every tensor.
MOST_LOCATIONS = 10

# GitHub's words for what SARIF calls error, warning and note.
_PROBLEMS = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOTE: "recommendation",
}
_PLACEHOLDER = re.compile(r"\{(?=[0-9]+\})")


def write(report: Report, stream: TextIO) -> None:
    """Write a log of one run."""
    found = located(report)
    kept = _heaviest(found)
    rules = {one.finding.rule.code: one.finding.rule for one in kept}
    codes = sorted(rules)
    dump(
        {
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {"driver": _driver(report.version, [rules[code] for code in codes])},
                    "columnKind": "unicodeCodePoints",
                    "invocations": [_invocation(report, len(found) - len(kept))],
                    "results": [_result(one, codes.index(one.finding.rule.code)) for one in kept],
                }
            ],
        },
        stream,
    )


def _heaviest(found: list[Located]) -> list[Located]:
    """Return the results in their order, without the least severe where there are too many."""
    ranked = sorted(range(len(found)), key=lambda at: -found[at].finding.severity.weight)
    return [found[at] for at in sorted(ranked[:MOST_RESULTS])]


def _driver(version: str, rules: Iterable[Rule]) -> dict[str, Any]:
    shown = printable(version)
    driver = {
        "name": "ckpttool",
        "version": shown,
        "semanticVersion": shown,
        "rules": [_rule(rule) for rule in rules],
    }
    return {**driver, "informationUri": HOMEPAGE} if HOMEPAGE else driver


def _rule(rule: Rule) -> dict[str, Any]:
    meaning, fix = printable(rule.meaning), printable(rule.fix)
    whole = " ".join([meaning, *([rule.more] if rule.more else [])])
    address = published(rule.code, HOMEPAGE)
    page = {} if address is None else {"helpUri": address}
    markdown = {}
    if RULES.get(rule.code) == rule:  # the words of one that is not known are from a stored result
        markdown["markdown"] = f"**{rule.code} {rule.name}**: {whole}\n\n**What to do:** {fix}"
    return {
        "id": rule.code,
        "name": "".join(part.capitalize() for part in rule.name.split("-")),  # SARIF: PascalCase
        "shortDescription": {"text": _no_links(meaning)},
        "fullDescription": {"text": _no_links(whole)},
        **page,
        "help": {"text": _no_links(f"{whole}\n\nWhat to do: {fix}"), **markdown},
        "defaultConfiguration": {"level": rule.severity.value},
        "properties": {
            "tags": ["checkpoint", *(["security"] if rule.letters == "SEC" else [])],
            "precision": "very-high",  # code scanning shows the most precise first
            "problem.severity": _PROBLEMS[rule.severity],
        },
    }


def _invocation(report: Report, cut: int) -> dict[str, Any]:
    """Return how the run ended, the configurations, and what was not checked or left out."""
    told = [f"{file.path}: {text}" for file in report.files for text in _of_the_run(file)]
    told += [
        f"{item.path}: {item.standing.value.replace('-', ' ')}: {item.what}"
        for item in of(report.inventory, Standing.UNSEEN, Standing.EXCLUDED)
    ]
    beside = account(report.inventory)
    if beside:
        told.append(f"files of the run: {beside}")
    if cut:
        told.append(f"{count(cut, 'result')} of least severity were left out")
    shown = (_no_links(printable(text, LONG)) for text in told)
    notifications = [{"level": "note", "message": {"text": text}} for text in shown]
    return {
        # about the run, not the files: one that found errors has done its work
        "executionSuccessful": report.verdict is not Verdict.CANNOT_TELL,
        "exitCode": report.exit_code,
        "toolExecutionNotifications": notifications,
    }


def _of_the_run(file: FileReport) -> Iterator[str]:
    if file.configuration is not None:
        path, sha256 = file.configuration
        yield f"judged by the configuration {path} (SHA-256 {sha256})"
    yield from (f"not checked: {text}" for text in file.unchecked)


def _result(one: Located, rule_index: int) -> dict[str, Any]:
    finding = one.finding
    result = {
        "ruleId": finding.rule.code,
        "ruleIndex": rule_index,
        "level": finding.severity.value,
        "message": {"text": _message(one)},
        "locations": _locations(one),
        # code scanning uses the first. Without it, it hashes the line of the lock file, so that
        # a changed digest would close an alert and open another.
        "partialFingerprints": {
            "primaryLocationLineHash": f"{one.identity}:1",
            "ckpttool/v1": one.identity,
        },
    }
    return {**result, "suppressions": [_suppression(one)]} if one.waived else result


def _message(one: Located) -> str:
    parts = [printable(one.finding.message, LONG)]
    parts += [f"{label.capitalize()}: {text}" for label, text in one.details.items()]
    return _no_links("\n".join(parts))


def _no_links(text: str) -> str:
    """Break up what SARIF takes for an embedded link, ``[text](1)``, or a placeholder, ``{0}``."""
    # by a space: SARIF's escapes, backslashes and double braces, are shown by many viewers
    return _PLACEHOLDER.sub("{ ", text.replace("](", "] ("))


def _locations(one: Located) -> list[dict[str, Any]]:
    """Return a place for each tensor: its line in the lock file, and its name."""
    if one.path is None:
        return []
    if not one.finding.tensors:
        return [_physical(one.path, one.line)]
    # those with a line first, as only some are taken
    names = sorted(one.finding.tensors, key=lambda name: one.line_of(name) is None)
    return [
        {
            **_physical(one.path, one.line_of(name) or 1),
            "logicalLocations": [{"fullyQualifiedName": printable(name, LONG), "kind": "variable"}],
        }
        for name in names[:MOST_LOCATIONS]
    ]


def _physical(path: str, line: int) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": _uri(path)}, "region": {"startLine": line}}
    return {"physicalLocation": place}


def _uri(path: str) -> str:
    # the colon too, as what stands before the first one would be a scheme (RFC 3986, 4.2)
    return quote(path, errors="surrogatepass")


def _suppression(one: Located) -> dict[str, Any]:
    assert one.waived is not None  # noqa: S101 (the caller looked)
    said = {"owner": one.waived.owner, "expires": one.waived.expires}
    properties = {name: printable(text, LONG) for name, text in said.items() if text is not None}
    suppression = {
        "kind": "external",  # in the configuration, not in the file itself
        "status": "accepted",
        "justification": printable(one.waived.reason, LONG),
    }
    return {**suppression, "properties": properties} if properties else suppression
