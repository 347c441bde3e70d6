"""What became of every file of a run, and what that means for the run as a whole."""

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
from ckpttool.inspection import with_error

if TYPE_CHECKING:
    from ckpttool.inputs.paths import Input, Inputs

_Result = TypeVar("_Result")

# What an archive's reading ends with that is none of a checkpoint.
_OF_ANOTHER_KIND = {rules.UNKNOWN_FORMAT, rules.UNSUPPORTED}


_KIND = re.compile(r"^the (?:file|archive) is ")


class Account(NamedTuple):
    """A run: which of its checkpoints stay ones, by their place, and all items of its inventory."""

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
        found: what the run is about.
        examine: examines one checkpoint; not called for what is known to be unreachable.
        result_of: makes a result of a report that says why there is none.
        trust_of: patterns of names whose code is trusted, for a checkpoint.

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
            alone = len(found.targets) == 1 and target.error is None
            if alone or (isinstance(error, UsageError) and error.path != target.path):
                raise
            nothing = FileReport(target.path, Verdict.CANNOT_TELL, ())
            results.append(result_of(with_error(nothing, error, trust_of(target))))
    return results


def account_for(selection: Inputs, reports: Sequence[FileReport]) -> Account:
    """Put together what was checked with everything else that was come by.

    An archive that proved to hold no checkpoint is listed as what it is, unless there is nothing
    else that was checked and there has to be something.

    Args:
        selection: what the run was about.
        reports: one for each of its targets, in their order.
    """
    pairs = list(zip(selection.targets, reports))
    other = [target.archive and _is_of_another_kind(report) for target, report in pairs]
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


def findings_on_run(
    selection: Inputs,
    inventory: Sequence[Item],
) -> Iterator[Finding]:
    """Yield what is to be said of the run as a whole: what it left aside.

    Args:
        selection: what the run was about.
        inventory: what became of each file.
    """
    yield from _on_unseen(inventory)
    for pattern in selection.unused:
        message = f"the pattern {pattern} leaves out nothing of what was found"
        yield finding(rules.EXCLUDE_UNUSED, message)


def _on_unseen(inventory: Sequence[Item]) -> Iterator[Finding]:
    unseen = of(inventory, Standing.UNSEEN)
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
