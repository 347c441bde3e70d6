"""What the container says of a file, and why one could not be read, as reports have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.findings.errors import CkpttoolError, UsageError
from ckpttool.findings.finding import (
    Finding,
    Verdict,
    finding_from,
    verdict_from,
    verdict_of,
)
from ckpttool.findings.results import FileReport
from ckpttool.formats.safety.telling import (
    findings_before,
    findings_beyond_default,
    findings_on,
)
from ckpttool.models.canonical import layout_of

if TYPE_CHECKING:
    from ckpttool.tensors.catalogue import Checkpoint


def with_container(report: FileReport, checkpoint: Checkpoint, layout: str | None) -> FileReport:
    """Return the report with what the container says, and the naming convention."""
    return report._replace(
        format=checkpoint.format,
        size=checkpoint.size,
        wrapper=checkpoint.wrapper,
        layout=layout,
        tensors=len(checkpoint.tensors),
        parameters=checkpoint.parameters,
    )


def container_report(path: str, checkpoint: Checkpoint, trust: tuple[str, ...] = ()) -> FileReport:
    """Return a report on the container alone: FAIL where loading the file calls unknown code."""
    findings = (
        *findings_on(checkpoint.uses, trust),
        *_beyond_default(checkpoint),
        *checkpoint.remarks,
    )
    report = FileReport(path, verdict_of(findings), findings)
    return with_container(report, checkpoint, layout_of(checkpoint.tensors))


def _beyond_default(checkpoint: Checkpoint) -> list[Finding]:
    if checkpoint.format == "torch-distributed":  # not loaded by torch.load
        return []
    return findings_beyond_default(checkpoint.references, checkpoint.uses)


def stopped(report: FileReport, error: CkpttoolError, trust: tuple[str, ...] = ()) -> FileReport:
    """Return the report on a file whose reading stopped with an error, its calls first.

    Raises:
        UsageError: the error, if it is a caller's mistake and the file calls nothing.
    """
    # A caller's mistake, such as a missing wrapper, must not hide that the file calls unknown code.
    before = findings_before(error, trust)
    if isinstance(error, UsageError):
        if verdict_of(before) is Verdict.PASS:
            raise error
        unchecked = f"everything else: {error.detail()}"
        return report._replace(verdict=Verdict.FAIL, findings=before, unchecked=(unchecked,))
    return with_error(report, error, trust)


def with_error(report: FileReport, error: CkpttoolError, trust: tuple[str, ...] = ()) -> FileReport:
    """Return the report on a file whose reading stopped, with any error as a finding."""
    # A caller's mistake too: in a run over several files, it must not stop the others' results.
    before = findings_before(error, trust)
    return report._replace(
        verdict=verdict_from(error, before),
        findings=(*before, finding_from(error)),
        unchecked=("everything else, because of this error",),
    )
