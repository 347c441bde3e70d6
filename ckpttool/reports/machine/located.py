"""Findings for tools that track them: each with its place and an identity that lasts."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Iterator, NamedTuple

from ckpttool.findings.text import printable
from ckpttool.reports.details import LONG, details_of

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.findings.results import FileReport, Report, Waived

_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_LENGTH = 32  # hexadecimal digits of an identity: 128 bits


class Located(NamedTuple):
    """A finding of a run.

    Attributes:
        finding: what was found.
        file: the report on its file; ``None`` for a finding on the run as a whole.
        waived: why it does not count, if it does not.
        path: the file to show it in: the lock file where there is one, since it can be displayed.
            ``None`` only for a run without files.
        identity: 32 hexadecimal digits that follow from the file's name, the rule and the
            tensors; other findings, their order and numbers in messages do not matter.
    """

    finding: Finding
    file: FileReport | None
    waived: Waived | None
    path: str | None
    identity: str = ""

    def line_of(self, tensor: str) -> int | None:
        """Return the line of a tensor in the lock file, if it has one there."""
        return None if self.file is None else self.file.lock_lines.get(tensor)

    @property
    def details(self) -> dict[str, str]:
        """The details of the finding, safe to print, and its file if it is shown elsewhere."""
        if self.file is None or self.file.lock is None:
            return details_of(self.finding)
        return {"file": printable(self.file.path, LONG), **details_of(self.finding)}

    @property
    def line(self) -> int:
        """The line to show it at: of the first tensor that has one, else the first line."""
        lines = (self.line_of(tensor) for tensor in self.finding.tensors)
        return next((line for line in lines if line is not None), 1)


def located(report: Report) -> list[Located]:
    """Return all findings of a run in the order of the report, those of the run itself last."""
    found = list(_all(report))
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, one in enumerate(found):
        alike[_key(one)].append(number)
    for key, numbers in alike.items():
        # several with one key are numbered by their texts, so that their order does not matter
        for count, number in enumerate(sorted(numbers, key=lambda at: _said(found[at].finding))):
            found[number] = found[number]._replace(identity=_digest((*key, str(count))))
    return found


def _all(report: Report) -> Iterator[Located]:
    for file in report.files:
        for finding in file.findings:
            yield Located(finding, file, None, _shown_in(file))
        for waived in file.waived:
            yield Located(waived.finding, file, waived, _shown_in(file))
    # at the first file, because GitHub refuses a report with a result that has no place
    anywhere = _shown_in(report.files[0]) if report.files else None
    for finding in report.of_run:
        yield Located(finding, None, None, anywhere)


def _shown_in(file: FileReport) -> str:
    return file.lock or file.path


def _key(one: Located) -> tuple[str, ...]:
    path = "" if one.file is None else one.file.path
    # without tensors the message says what it is about; its numbers change with the content
    about = sorted(one.finding.tensors) or [_NUMBER.sub("0", one.finding.message)]
    return (path, one.finding.rule.code, *about)


def _said(finding: Finding) -> tuple[str, ...]:
    return (finding.message, finding.expected or "", finding.found or "", finding.severity.value)


def _digest(key: tuple[str, ...]) -> str:
    parts = [part.encode("utf-8", "surrogatepass") for part in key]  # names that are not Unicode
    framed = b"".join(
        b"%d:%s" % (len(part), part) for part in parts
    )  # ("ab", "c") is not ("a", "bc")
    return hashlib.sha256(framed).hexdigest()[:_LENGTH]
