"""What a report says of a checkpoint before a tensor's bytes are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.errors import CkpttoolError, UsageError
from ckpttool.findings import Verdict, finding_from, verdict_from, verdict_of
from ckpttool.formats.safety.telling import findings_before, findings_on
from ckpttool.layouts import canonicalize
from ckpttool.results import FileReport

if TYPE_CHECKING:
    from ckpttool.tensors import Checkpoint


def with_facts(known: FileReport, checkpoint: Checkpoint, layout: str | None) -> FileReport:
    """Return ``known`` with the container's facts and the naming convention."""
    return known._replace(
        format=checkpoint.format,
        size=checkpoint.size,
        wrapper=checkpoint.wrapper,
        layout=layout,
        tensors=len(checkpoint.tensors),
        parameters=checkpoint.parameters,
    )


def facts_of(path: str, checkpoint: Checkpoint, trust: tuple[str, ...] = ()) -> FileReport:
    """Return a report of the facts alone: FAIL where loading the file calls unknown code."""
    findings = (*findings_on(checkpoint.uses, trust), *checkpoint.remarks)
    known = FileReport(path, verdict_of(findings), findings)
    return with_facts(known, checkpoint, canonicalize(checkpoint.tensors).layout)


def stopped(known: FileReport, error: CkpttoolError, trust: tuple[str, ...] = ()) -> FileReport:
    """Return what is known of a file whose reading was stopped, its calls first.

    A caller's mistake, a wrapper that is not there say, does not hide that a file calls unknown
    code.

    Raises:
        UsageError: the error, if it is a caller's mistake and the file calls nothing.
    """
    before = findings_before(error, trust)
    if isinstance(error, UsageError):
        if verdict_of(before) is Verdict.PASS:
            raise error
        unchecked = f"everything else: {error.detail()}"
        return known._replace(verdict=Verdict.FAIL, findings=before, unchecked=(unchecked,))
    return known._replace(
        verdict=verdict_from(error, before),
        findings=(*before, finding_from(error)),
        unchecked=("everything else, because of this error",),
    )
