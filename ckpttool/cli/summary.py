"""The last line on standard error: the verdict, what it rests on, and the time it took.

Only this line has the time: reports of the same files are the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.cli.console import one_terminal
from ckpttool.cli.display import quiet
from ckpttool.cli.messages import say
from ckpttool.findings.inventory import account
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count, size

if TYPE_CHECKING:
    from ckpttool.findings.finding import Verdict
    from ckpttool.findings.results import Report


def conclude(report: Report, seconds: float, shown: bool = False) -> None:
    """Say how the run ended; with ``--quiet`` only if it did not pass.

    Args:
        report: the run.
        seconds: how long it took.
        shown: whether its text stands on standard output; on the terminal on which this line would
            follow, only what is new is said.
    """
    if shown and one_terminal() and not quiet():
        say(" in ".join(_effort(report, seconds)))
    elif report.exit_code or not quiet():
        say(summary_of(report, seconds))


def summary_of(report: Report, seconds: float) -> str:
    """Return the line: ``FAIL 2 errors, 1 warning in 1 file (1.21 GB, 0.9 s) - exit 1``."""
    beside = account(report.inventory)
    effort = ", ".join(_effort(report, seconds))
    return (
        f"{word_of(report.verdict)} {_findings(report)} in {count(len(report.files), 'file')} "
        f"({effort}){'; ' + beside if beside else ''} - exit {report.exit_code}"
    )


def _effort(report: Report, seconds: float) -> list[str]:
    sizes = [file.size for file in report.files if file.size is not None]
    return [*([size(sum(sizes))] if sizes else []), duration(seconds)]


def word_of(verdict: Verdict) -> str:
    """Return the words for a verdict: ``CANNOT TELL``."""
    return verdict.value.upper().replace("-", " ")


def _findings(report: Report) -> str:
    severities = [found.severity for found in report.findings]
    told = [count(severities.count(each), each.value) for each in Severity]
    # 0 errors and 0 warnings are a result, 0 notes would be noise
    if not severities.count(Severity.NOTE):
        del told[list(Severity).index(Severity.NOTE)]
    waived = sum(len(file.waived) for file in report.files)
    return ", ".join([*told, f"{waived:,} waived"] if waived else told)


def duration(seconds: float) -> str:
    """Return a time as people say it: ``0.9 s``, ``2 min 5 s``."""
    if seconds < 59.95:  # what is rounded to 60.0 s is a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:,} min {rest} s"
