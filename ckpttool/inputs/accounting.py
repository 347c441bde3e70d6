"""Accounting for every file of a run: which were checked, and findings on those that were not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Callable, Iterator, NamedTuple, Sequence, TypeVar

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, UsageError
from ckpttool.findings.finding import Finding, Verdict, finding
from ckpttool.findings.inventory import Item, Standing, named, of
from ckpttool.findings.results import FileReport
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import count
from ckpttool.inputs.folders import by_folders
from ckpttool.inspection.container import with_error

if TYPE_CHECKING:
    from ckpttool.inputs.paths import Input, Inputs

_Result = TypeVar("_Result")

# The rules of errors for an archive that is no checkpoint.
_OF_ANOTHER_KIND = {rules.UNKNOWN_FORMAT, rules.UNSUPPORTED}

# The beginning of such an error's message, before the words for the kind of file.
_KIND = re.compile(r"^the (?:file|archive) is ")


class Account(NamedTuple):
    """A run: the indexes of its targets that are checkpoints, and its whole inventory."""

    kept: tuple[int, ...]
    inventory: tuple[Item, ...]


def examined(
    found: Inputs,
    examine: Callable[[Input], _Result],
    result_of: Callable[[FileReport], _Result],
    trust_of: Callable[[Input], tuple[str, ...]] = lambda _: (),
) -> list[_Result]:
    """Examine all checkpoints of a run; an error of one of several is a result like any other.

    Args:
        found: the files of the run.
        examine: examines one checkpoint; not called for a target with an error.
        result_of: makes a result of the report on an error.
        trust_of: returns the patterns of names whose code is trusted for a checkpoint.

    Returns:
        One result for each target, in their order.

    Raises:
        CkpttoolError: what ``examine`` raises if there is one checkpoint alone.
        UsageError: one that is not about a file (no such model or device), so about them all.
    """
    results = []
    for target in found.targets:
        try:
            if target.error is not None:
                raise target.error
            results.append(examine(target))
        except CkpttoolError as error:
            # of one file the error is the whole answer; of several, the others are still examined
            alone = len(found.targets) == 1 and target.error is None
            if alone or (isinstance(error, UsageError) and error.path != target.path):
                raise
            nothing = FileReport(target.path, Verdict.CANNOT_TELL, ())
            results.append(result_of(with_error(nothing, error, trust_of(target))))
    return results


def account_for(selection: Inputs, reports: Sequence[FileReport]) -> Account:
    """Combine the files that were checked with the others that were found.

    An archive that proved to be no checkpoint moves to the inventory.

    Args:
        selection: the files of the run.
        reports: one for each of its targets, in their order.
    """
    pairs = list(zip(selection.targets, reports))
    other = [target.archive and _is_of_another_kind(report) for target, report in pairs]
    # with no checkpoint left the run must not pass: the archives stay, with their errors
    if all(other) and not selection.may_be_empty:
        other = [False for _ in pairs]
    items = {item.path: item for item in selection.items}
    for (target, report), is_other in zip(pairs, other):
        if is_other:
            what = _KIND.sub("", report.findings[0].message)
            standing = Standing.UNSEEN
        elif target.folder is not None or target.path in items:
            what = report.format or "not readable"
            standing = Standing.CHECKED
        else:
            continue
        link = items[target.path].link if target.path in items else None
        items[target.path] = Item(target.path, standing, what, link, weighty=is_other)
    return Account(
        tuple(number for number, is_other in enumerate(other) if not is_other),
        tuple(sorted(items.values(), key=lambda item: by_folders(item.path))),
    )


def _is_of_another_kind(report: FileReport) -> bool:
    return (
        report.verdict is Verdict.CANNOT_TELL
        and {found.rule for found in report.findings} <= _OF_ANOTHER_KIND
    )


def findings_on_run(selection: Inputs, inventory: Sequence[Item]) -> Iterator[Finding]:
    """Yield the findings on the run as a whole: files not looked at, patterns without effect.

    Args:
        selection: the files of the run.
        inventory: the standing of each file.
    """
    unseen = of(inventory, Standing.UNSEEN)
    # two findings, since only what could hold weights is worth a warning
    for severity, weighty, could in (
        (Severity.WARNING, True, " could hold weights and"),
        (Severity.NOTE, False, ""),
    ):
        ours = [item for item in unseen if item.weighty is weighty]
        if ours:
            were = "was" if len(ours) == 1 else "were"
            yield finding(
                rules.NOT_LOOKED_AT,
                f"{count(len(ours), 'file')}{could} {were} not looked at: {named(ours)}",
                severity=severity,
            )
    yield from findings_on_unused(selection)


def findings_on_unused(selection: Inputs) -> Iterator[Finding]:
    """Yield a finding on each glob of files to leave out that matched none."""
    for pattern in selection.unused:
        message = f"the pattern {pattern} leaves out nothing of what was found"
        yield finding(rules.EXCLUDE_UNUSED, message)
