"""Findings, which every check yields and every reporter gets, and verdicts. Plain values."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Iterable, NamedTuple, Sequence

from ckpttool.findings.errors import CkpttoolError, MalformedError, UsageError
from ckpttool.findings.names import summarise
from ckpttool.findings.rules import LIMIT, NOT_POSSIBLE, Rule, Severity


class Verdict(Enum):
    """The three outcomes. The value is the word in reports."""

    PASS = "pass"  # noqa: S105 (not a password)
    FAIL = "fail"
    CANNOT_TELL = "cannot-tell"

    @property
    def exit_code(self) -> int:
        """The process's exit status for this outcome: 0, 1, 2."""
        # by the order of definition
        return list(Verdict).index(self)


class Finding(NamedTuple):
    """One thing found, as data.

    Attributes:
        rule: the rule that was broken.
        message: one line of raw text; a reporter escapes what it prints.
        severity: the rule's own unless an option changes it.
        tensors: the names of all tensors that it is about.
        expected, found: the two sides, as text.
        fix: what to do about it; ``None`` for the rule's own advice, empty if there is none.
        follows: codes of rules that may be its cause: if there is a finding of one of them that
            is at least as severe, this one is not reported.
    """

    rule: Rule
    message: str
    severity: Severity
    tensors: tuple[str, ...] = ()
    expected: str | None = None
    found: str | None = None
    fix: str | None = None
    follows: tuple[str, ...] = ()

    @property
    def tensor(self) -> str | None:
        """The tensors, shortened by :mod:`ckpttool.findings.names`; ``None`` if there are none."""
        return _shortened(self.tensors) if self.tensors else None

    @property
    def advice(self) -> str:
        """What to do about it: its own fix, else the rule's."""
        return self.rule.fix if self.fix is None else self.fix


# every report needs it several times, and for 100,000 names it takes a tenth of a second
_shortened = lru_cache(maxsize=256)(summarise)


def finding(
    rule: Rule,
    message: str,
    *,
    severity: Severity | None = None,
    tensors: Iterable[str] = (),
    expected: object = None,
    found: object = None,
    fix: str | None = None,
    follows: tuple[str, ...] = (),
) -> Finding:
    """Return a finding of ``rule``, with the rule's severity unless another is given."""
    return Finding(
        rule,
        message,
        severity or rule.severity,
        tuple(tensors),
        None if expected is None else str(expected),
        None if found is None else str(found),
        fix,
        follows,
    )


def finding_from(error: CkpttoolError) -> Finding:
    """Return the finding for an error, which must have a rule or be a UsageError.

    Its severity is ERROR whatever the rule's is: what the user asked for was not done.
    """
    if isinstance(error, UsageError):  # a --wrapper that one file of several lacks
        return finding(NOT_POSSIBLE, error.detail(), fix=error.fix)
    if error.rule is None:
        raise ValueError(f"an error without a rule is no finding: {error}")
    return finding(
        error.rule,
        error.detail(),
        severity=Severity.ERROR,
        tensors=() if error.tensor is None else (error.tensor,),
        expected=error.expected,
        found=error.found,
        fix=error.fix,
    )


def causes_only(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings without those that follow from another one of them."""
    # a warning must not hide an error that follows from it, so severities are compared
    weights: dict[str, int] = {}
    for found in findings:
        weights[found.rule.code] = max(
            found.severity.weight, weights.get(found.rule.code, found.severity.weight)
        )
    return tuple(
        found._replace(follows=())  # no part of a report, and so equal when one is read back
        for found in findings
        if not any(weights.get(code, -9) >= found.severity.weight for code in found.follows)
    )


def verdict_of(findings: Iterable[Finding], fail_on: Severity = Severity.ERROR) -> Verdict:
    """Return FAIL if a finding is at least as severe as ``fail_on``, else PASS.

    A finding that leaves the file undecided makes it CANNOT TELL, unless another one fails it.
    """
    listed = list(findings)
    open_ones = any(found.rule.undecided for found in listed)
    if any(one.severity.weight >= fail_on.weight for one in listed if not one.rule.undecided):
        return Verdict.FAIL
    return Verdict.CANNOT_TELL if open_ones else Verdict.PASS


def deciding(findings: Iterable[Finding], fail_on: Severity = Severity.ERROR) -> list[Finding]:
    """Return the findings that fail a file, or leave it undecided."""
    return [one for one in findings if one.rule.undecided or one.severity.weight >= fail_on.weight]


def verdict_from(error: CkpttoolError, before: Iterable[Finding] = ()) -> Verdict:
    """Return the verdict for an error: FAIL if the file is malformed, else CANNOT TELL.

    Args:
        error: the error that ended the reading.
        before: the findings until then; with an error among them, the file fails.
    """
    failed = any(found.severity is Severity.ERROR for found in before)
    # a file beyond a limit of this tool may be sound
    malformed = isinstance(error, MalformedError) and error.rule is not LIMIT
    return Verdict.FAIL if failed or malformed else Verdict.CANNOT_TELL
