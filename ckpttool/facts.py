"""What a report says of a checkpoint before a tensor's bytes are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.findings import verdict_of
from ckpttool.formats.safety.telling import findings_on
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
    findings = tuple(findings_on(checkpoint.uses, trust))
    known = FileReport(path, verdict_of(findings), findings)
    return with_facts(known, checkpoint, canonicalize(checkpoint.tensors).layout)
