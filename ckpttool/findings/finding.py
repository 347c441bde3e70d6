"""Findings and the report: what every check yields and every reporter gets. Plain values."""

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
        return list(Verdict).index(self)


class Finding(NamedTuple):
    """One thing found, as data.

    Attributes:
        rule: what was broken.
        message: one line of raw text; a reporter escapes what it prints.
        severity: the rule's own unless an option changes it.
        tensors: every tensor that it is about, by name.
        expected, found: the two sides, as text.
        fix: what to do about this one, where that is more than the rule's own fix; empty where
            nothing is known to help.
        follows: codes of rules that say it already: where a finding of one of them counts, and
            weighs as much, this one is not told in addition.
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
        return _short(self.tensors) if self.tensors else None

    @property
    def advice(self) -> str:
        """What to do about it: its own fix, else the rule's, never both."""
        return self.rule.fix if self.fix is None else self.fix


# every report asks for it, and of 100,000 names it takes a tenth of a second
@lru_cache(maxsize=256)
def _short(tensors: tuple[str, ...]) -> str:
    return summarise(tensors)


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
    """Return the finding that an error amounts to; the error must name its rule or be usage.

    It is an error whatever the rule's severity is elsewhere: nothing came of what was asked.
    """
    if isinstance(error, UsageError):
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
    weights: dict[str, int] = {}
    for found in findings:
        weights[found.rule.code] = max(
            found.severity.weight, weights.get(found.rule.code, found.severity.weight)
        )
    return tuple(
        found._replace(follows=())  # of no more use, and no part of a report
        for found in findings
        if not any(weights.get(code, -9) >= found.severity.weight for code in found.follows)
    )


def verdict_of(findings: Iterable[Finding], fail_on: Severity = Severity.ERROR) -> Verdict:
    """Return FAIL if a finding weighs as much as ``fail_on`` or more, else PASS."""
    failed = any(found.severity.weight >= fail_on.weight for found in findings)
    return Verdict.FAIL if failed else Verdict.PASS


def verdict_from(error: CkpttoolError, before: Iterable[Finding] = ()) -> Verdict:
    """Return what an error says of the file: FAIL if it is malformed, else CANNOT TELL.

    What is beyond a limit of this tool may be sound for all that is known.

    Args:
        error: what stopped the reading.
        before: what was found until then; a file with an error among that fails, whatever else
            it is or is not.
    """
    failed = any(found.severity is Severity.ERROR for found in before)
    malformed = isinstance(error, MalformedError) and error.rule is not LIMIT
    return Verdict.FAIL if failed or malformed else Verdict.CANNOT_TELL
