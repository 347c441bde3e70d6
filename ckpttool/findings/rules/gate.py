"""CFG: the policy of the gate itself."""

from __future__ import annotations

from ckpttool.findings.rules.base import Rule, RuleFamily, Severity

FAMILY = RuleFamily("CFG", "the policy of the gate itself")

# All are of the run: a waiver must not cover the findings that waivers themselves cause.
WAIVER_UNUSED = Rule(
    "CFG001",
    "waiver-unused",
    Severity.WARNING,
    "A waiver matches no finding.",
    "Remove it from the configuration, or correct its code, tensors or path.",
    "Only waivers that are for a file of the run are looked at, and of those only the ones whose "
    "rules the run could find: not one for the forward pass after --no-forward, nor one for the "
    "lock file without --lock. The message says what did not match: the code, or the tensors. A "
    "path of a file that does not exist, in the run or elsewhere, is a note.",
    of_run=True,
)
WAIVER_EXPIRED = Rule(
    "CFG002",
    "waiver-expired",
    Severity.WARNING,
    "A waiver has expired, so the findings it covered count again.",
    "Fix the problem that it waives, or renew it with a later date.",
    "The day is the machine's, or that of SOURCE_DATE_EPOCH where it is set.",
    of_run=True,
)
EXCLUDE_UNUSED = Rule(
    "CFG004",
    "exclude-unused",
    Severity.WARNING,
    "A pattern of files to exclude matches no file.",
    "Correct or remove it. It is matched against paths from the folder, and against file names.",
    "A file that is named is looked at all the same, so that a pattern on the command line has "
    "no effect where only files are named. Patterns of the configuration are for the folders of "
    "a project, and are reported only where a folder or a glob was searched; with --changed, so "
    "are those of the command line.",
    of_run=True,
)
WAIVER_OTHER_WEIGHTS = Rule(
    "CFG003",
    "waiver-other-weights",
    Severity.WARNING,
    "A waiver was given for other weights.",
    "Review the finding again, then update the waiver's fingerprint or remove the waiver.",
    of_run=True,
)
