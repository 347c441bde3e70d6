"""The diagnosis of a file that was verified: what it is, and the command to run next."""

from __future__ import annotations

import os
from shlex import quote
from typing import TYPE_CHECKING, Sequence

from ckpttool.files.suffixes import CLEAN, stem_of
from ckpttool.findings import rules
from ckpttool.findings.rules import Severity
from ckpttool.findings.text import printable
from ckpttool.formats.writing.safetensors import SUFFIX, takes
from ckpttool.inspection.not_taken import most_outside
from ckpttool.models.diagnosis import diagnose
from ckpttool.verification.options import BESIDE
from ckpttool.verification.policy import NOT_THE_MODEL
from ckpttool.verification.release_files import can_be_built

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
    # of a schema that was named, the name is all that is known
    if judged is None or (evidence.reference is not None and not evidence.unknown):
        return None
    learned = any(one.rule is rules.LEARNED_POSITIONS for one in findings)
    unlike = (
        "a ViT with learned positions, as supervised, DINO or DeiT ones have," if learned else None
    )
    called = evidence.release_files.architecture if evidence.unknown else None
    found = diagnose(
        evidence.checkpoint,
        evidence.recognised or evidence.canonical,
        judged,
        evidence.coverage,
        unlike,
        called,
    )
    return found._replace(next=_next(evidence, found, known, findings))


def _next(
    evidence: Evidence, found: Diagnosis, known: FileReport, findings: Sequence[Finding]
) -> str | None:
    """Return the command that helps with a file that passes; where it fails, the policy has one."""
    path = known.path
    if printable(path, len(path)) != path:  # a command with it would not be what is shown
        return None
    file = _quoted(path)
    if len(evidence.checkpoint.wrappers) > 1:  # the one that this is about, whoever chose it
        file += f" --wrapper {quote(evidence.checkpoint.wrapper or '')}"
    if found.kind in NOT_THE_MODEL or most_outside(evidence.checkpoint):
        if evidence.release_files.architecture and can_be_built() and not evidence.asked:
            return f"ckpttool verify {file} --schema {BESIDE}"
        return f"ckpttool inspect {file}"
    if not evidence.checkpoint.format.startswith("safetensors"):
        command = _converting(evidence, path, file)
        if command is not None:
            return command
    return f"ckpttool lock {file}{evidence.asked}" if _is_lockable(evidence, findings) else None


def _quoted(path: str) -> str:
    # a name that begins as an option does would be taken for one
    return quote(f"./{path}" if path.startswith("-") else path)


def _converting(evidence: Evidence, path: str, file: str) -> str | None:
    checkpoint = evidence.checkpoint
    if checkpoint.unread or not takes(checkpoint.tensors.values()):
        return None
    folder = os.path.dirname(path)  # noqa: PTH120 (keeps the spelling)
    name = f"{stem_of(path)}{SUFFIX}"
    if name == os.path.basename(path):  # noqa: PTH119 (a .pth of that name)
        name = f"{stem_of(path)}{CLEAN}{SUFFIX}"
    if name in evidence.release_files.names:  # convert would refuse to replace it
        there = os.path.join(folder, name)  # noqa: PTH118
        return f"ckpttool verify {_quoted(there)}"
    command = f"ckpttool convert {file} --to safetensors"
    if evidence.release_files.writable:
        return command
    # into the working folder, if that is another one
    return f"{command} -o {_quoted(name)}" if folder else None


def _is_lockable(evidence: Evidence, findings: Sequence[Finding]) -> bool:
    """Whether ``lock`` accepts the file, and nobody has locked it yet."""
    # what passes because an option says so, to ignore, to trust or to allow, does so only with it
    by_option = (rules.TRUSTED_CODE, rules.EXPECTED_MISSING)
    passes = not any(one.severity is Severity.ERROR or one.rule in by_option for one in findings)
    unread = evidence.checkpoint.unread or evidence.values.skipped
    return passes and not unread and evidence.lock is None
