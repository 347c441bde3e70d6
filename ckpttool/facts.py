"""What a report says of a checkpoint before a tensor's bytes are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.findings import Verdict
from ckpttool.formats.dangerous import findings_on
from ckpttool.layouts import canonicalize
from ckpttool.results import FileReport
from ckpttool.rules import Severity

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


def facts_of(path: str, checkpoint: Checkpoint) -> FileReport:
    """Return a report of the facts alone: FAIL where the pickle names the code of an attack."""
    hostile = tuple(
        found for found in findings_on(checkpoint.references) if found.severity is Severity.ERROR
    )
    known = FileReport(path, Verdict.FAIL if hostile else Verdict.PASS, hostile)
    return with_facts(known, checkpoint, canonicalize(checkpoint.tensors).layout)
