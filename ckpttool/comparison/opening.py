"""Opens a checkpoint, or a receipt or lock file in its place, with the digests of its tensors."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Union

from ckpttool.files.sources import FileSource
from ckpttool.findings.errors import CkpttoolError
from ckpttool.findings.finding import Verdict, finding_from, verdict_from, verdict_of
from ckpttool.findings.results import FileReport
from ckpttool.formats import open_source
from ckpttool.formats.safety.telling import findings_left_behind, remarks_left_behind
from ckpttool.inspection.container import with_container
from ckpttool.verification.digest_lists import digests_in, listed_in

if TYPE_CHECKING:
    from ckpttool.inputs.receipts import Receipt
    from ckpttool.tensors.catalogue import Checkpoint


def open_either(path: str, wrapper: str | None = None) -> Union[Checkpoint, Receipt]:
    """Open a checkpoint, or read a receipt or a lock file: the content decides.

    Args:
        path: the file.
        wrapper: the dotted key of the state dict to take; ``None`` to choose.

    Raises:
        UsageError: there is no state dict under ``wrapper``, or the file has none to choose.
        CkpttoolError: as :func:`ckpttool.formats.open_checkpoint`, and for a bad receipt or
            lock file.
    """
    found = listed_in(path, lambda source: digests_in(source, wrapper))
    return open_source(found, wrapper) if isinstance(found, FileSource) else found


def unreadable(report: FileReport, error: CkpttoolError) -> FileReport:
    """Return the report on a file with the error that keeps it from being read."""
    before = (*report.findings, *findings_left_behind(error.uses))
    return report._replace(
        verdict=verdict_from(error, before), findings=(*before, finding_from(error))
    )


def report_on(checkpoint: Checkpoint, layout: str | None) -> FileReport:
    """Return the report on a file that was opened: what its header says."""
    findings = (
        *findings_left_behind(checkpoint.uses),
        *remarks_left_behind(checkpoint.remarks),
    )
    # the weights of a program are compared like any others, whatever its code may do
    verdict = verdict_of(one for one in findings if not one.rule.undecided)
    report = FileReport(checkpoint.path, verdict, findings)
    return with_container(report, checkpoint, layout)


def report_on_receipt(receipt: Receipt) -> FileReport:
    """Return the report on what lists the tensors of a file in its place."""
    return FileReport(
        receipt.path,
        Verdict.PASS,
        (),
        format="receipt",
        size=receipt.size,
        wrapper=receipt.wrapper,
        tensors=len(receipt.tensors),
        parameters=sum(prod(tensor.shape) for tensor in receipt.tensors.values()),
    )
