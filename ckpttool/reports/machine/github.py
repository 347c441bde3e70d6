"""Annotations of GitHub Actions: workflow commands on standard output.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, TextIO

from ckpttool.findings.inventory import account
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, printable
from ckpttool.reports.counts import counts_of
from ckpttool.reports.details import LONG
from ckpttool.reports.machine.located import Located, located

if TYPE_CHECKING:
    from ckpttool.findings.results import Report

#: Annotations of each severity that GitHub shows of one step; it drops the others silently.
LIMIT = 10

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
# The escapes of actions/toolkit; in properties also what separates them.
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def write(report: Report, stream: TextIO) -> None:
    """Write annotations for what counts, the verdict, and what it was judged by."""
    found = [one for one in located(report) if one.waived is None]
    for severity, command in _COMMANDS.items():
        alike = [one for one in found if one.finding.severity is severity]
        for one in alike[:LIMIT]:
            stream.write(_command(command, one) + "\n")
        if len(alike) > LIMIT:
            # a plain line of the log, which has no limit
            more = count(len(alike) - LIMIT, f"more {severity.value}")
            stream.write(f"+{more}, beyond the {LIMIT} annotations that GitHub shows of a step\n")
    beside = account(report.inventory)
    told = f"; {beside}" if beside else ""
    stream.write(f"ckpttool: {report.verdict.value}, {counts_of(report)}{told}\n")
    for path, sha256 in dict.fromkeys(filter(None, (one.configuration for one in report.files))):
        stream.write(f"judged by {printable(path, LONG)}, SHA-256 {printable(sha256)}\n")


def _command(command: str, one: Located) -> str:
    properties = ",".join(f"{name}={_escaped(text, _PROPERTY)}" for name, text in _properties(one))
    lines = [printable(one.finding.message, LONG)]
    lines += [f"{label}: {text}" for label, text in one.details.items()]
    message = "\n".join(lines)
    return f"::{command} {properties}::{_escaped(message, _DATA)}"


def _properties(one: Located) -> Iterator[tuple[str, str]]:
    if one.file is not None:
        yield "file", printable(one.file.lock or one.file.path, LONG)
        if one.file.lock is not None:  # a checkpoint has no lines
            yield "line", str(one.line)
    yield "title", f"{one.finding.rule.code} {one.finding.rule.name}"


def _escaped(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(character, character) for character in text)
