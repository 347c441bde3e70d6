"""Comparing two files: open both, compare, or say which of them is in the way.

Nothing here prints or exits.
"""

from __future__ import annotations

from contextlib import ExitStack
from math import prod
from typing import TYPE_CHECKING

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.comparison.opening import open_either
from ckpttool.comparison.options import DiffOptions
from ckpttool.comparison.result import Comparison, Outcome
from ckpttool.comparison.run import Run
from ckpttool.conversion.receipt import Receipt
from ckpttool.findings.errors import CkpttoolError, UsageError
from ckpttool.findings.finding import Verdict, finding_from, verdict_from, verdict_of
from ckpttool.findings.results import FileReport
from ckpttool.formats.safety.telling import findings_left_behind
from ckpttool.inspection import with_facts
from ckpttool.models.canonical import canonicalize
from ckpttool.tensors.catalogue import Checkpoint

if TYPE_CHECKING:
    from ckpttool.tensors.workers import Progress

__all__ = ["DiffOptions", "diff_files"]


def diff_files(
    paths: tuple[str, str], options: DiffOptions, progress: Progress | None = None
) -> Comparison:
    """Compare two files, or say which of them is in the way.

    Raises:
        UsageError: the options leave nothing to compare, are no tolerances, or name a state
            dict that is not there.
    """
    options.check()
    reports: list[FileReport] = []
    opened: list[Checkpoint | Receipt] = []
    with ExitStack() as stack:
        for path, wrapper in zip(paths, options.wrappers):
            try:
                file = open_either(path, wrapper)
            except UsageError:
                raise
            except CkpttoolError as error:
                known = FileReport(path, Verdict.CANNOT_TELL, ())
                reports.append(_in_trouble(known, error))
                continue
            reports.append(_facts(file))
            opened.append(stack.enter_context(file) if isinstance(file, Checkpoint) else file)
        if len(opened) < len(paths):
            return Comparison(reports[0], reports[1], Outcome.CANNOT_TELL)
        left, right = opened
        try:
            if isinstance(left, Checkpoint) and isinstance(right, Checkpoint):
                return Run((left, right), options, progress).compare(*reports)
            from ckpttool.comparison.digests import diff_digests

            return diff_digests((left, right), reports, options)
        except SideError as failed:
            reports[failed.side] = _in_trouble(reports[failed.side], failed.error)
            return Comparison(reports[0], reports[1], Outcome.CANNOT_TELL)


def _in_trouble(report: FileReport, error: CkpttoolError) -> FileReport:
    before = (*report.findings, *findings_left_behind(error.uses))
    return report._replace(
        verdict=verdict_from(error, before), findings=(*before, finding_from(error))
    )


def _facts(checkpoint: Checkpoint | Receipt) -> FileReport:
    if not isinstance(checkpoint, Checkpoint):
        return FileReport(
            checkpoint.path,
            Verdict.PASS,
            (),
            format="receipt",
            size=checkpoint.size,
            wrapper=checkpoint.wrapper,
            tensors=len(checkpoint.tensors),
            parameters=sum(prod(tensor.shape) for tensor in checkpoint.tensors.values()),
        )
    findings = (*findings_left_behind(checkpoint.uses), *checkpoint.remarks)
    known = FileReport(checkpoint.path, verdict_of(findings), findings)
    return with_facts(known, checkpoint, canonicalize(checkpoint.tensors).layout)
