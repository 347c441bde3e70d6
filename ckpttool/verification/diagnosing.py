"""The diagnosis of a file that was verified: what it is, and the command to run next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Sequence

from ckpttool.findings import rules
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import printable
from ckpttool.models.diagnosis import diagnose

if TYPE_CHECKING:
    from ckpttool.findings.finding import Finding
    from ckpttool.findings.results import Diagnosis, FileReport
    from ckpttool.verification.evidence import Evidence


def told(evidence: Evidence, known: FileReport, findings: Sequence[Finding]) -> Diagnosis | None:
    """Return the diagnosis, with what helps next.

    Args:
        evidence: all that is known of the file.
        known: what the header says of it.
        findings: what the checks found.
    """
    judged = evidence.judged
    if judged is None:
        return None
    learned = any(one.rule is rules.LEARNED_POSITIONS for one in findings)
    unlike = (
        "a ViT with learned positions, as supervised, DINO or DeiT ones have," if learned else None
    )
    found = diagnose(evidence.checkpoint, evidence.canonical, judged, evidence.coverage, unlike)
    return found._replace(next=_next(evidence, found, known, findings))


def _next(
    evidence: Evidence, found: Diagnosis, known: FileReport, findings: Sequence[Finding]
) -> str | None:
    path = known.path
    if printable(path, len(path)) != path:  # a command with it would not be what is shown
        return None
    quoted = shlex.quote(path)
    if found.kind in ("unknown", "part", "other"):
        return f"ckpttool inspect {quoted}"
    errors = [one for one in findings if one.severity is Severity.ERROR]
    if errors:
        return f"ckpttool explain {errors[0].rule.code}"
    if not evidence.checkpoint.format.startswith("safetensors"):
        return f"ckpttool convert {quoted} --to safetensors"
    return f"ckpttool lock {quoted}"
