"""Checks on the names that a pickle refers to; none of them is imported or called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator

from ckpttool.formats.safety.telling import findings_beyond_default, findings_on

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.verification.evidence import Evidence


def check_pickle_names(evidence: Evidence) -> Iterator[Finding]:
    """Fail on calls that may run code, warn of classes that are needed, note other names."""
    checkpoint = evidence.checkpoint
    yield from findings_on(checkpoint.uses, evidence.trust)
    if checkpoint.format != "torch-distributed":  # not loaded by torch.load
        yield from findings_beyond_default(checkpoint.references, checkpoint.uses)
