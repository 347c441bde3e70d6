"""Locking: what a release holds and what it computes, written down for the next verification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, NamedTuple

from ckpttool.files.sources import FileSource
from ckpttool.findings.errors import UsageError
from ckpttool.verification.lock.content import (
    LockedCheckpoint,
    LockedFile,
    LockedForward,
    LockedTensor,
    name_from,
)
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verified

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport
    from ckpttool.tensors.workers import Progress
    from ckpttool.verification.evidence import Evidence


class Locking(NamedTuple):
    """One checkpoint on its way into a lock file.

    Attributes:
        report: its verification; what a policy makes of it decides whether it may be locked.
        locked: what to write; ``None`` if it could not be read to its end or was not accepted.
    """

    report: FileReport
    locked: LockedCheckpoint | None = None


def lock_file(
    path: str,
    lock: str,
    options: VerifyOptions,
    accepted: Callable[[FileReport], bool],
    progress: Progress | None = None,
) -> Locking:
    """Verify one checkpoint, and if it is accepted find out what a lock file says of it.

    Args:
        path: the checkpoint.
        lock: the lock file's path, which the checkpoint is named relative to.
        options: as for verification; a lock in them is not looked at.
        accepted: told the report; whether it may be locked.
        progress: told how far the reading is.

    Raises:
        UsageError: as :func:`ckpttool.verification.run.verify_file`; also if it was accepted and
            has a tensor of a kind that is not read.
        UnreadableError: the file changed after it was verified.
    """
    with verified(path, options._replace(lock=None), progress) as (report, evidence):
        if evidence is None or not accepted(report):
            return Locking(report)
        if evidence.fingerprint is None:
            raise UsageError("not every tensor was read, so that it cannot be locked", path=path)
        return Locking(report, _locked(evidence, evidence.fingerprint, lock, progress))


def _locked(
    evidence: Evidence, fingerprint: str, lock: str, progress: Progress | None
) -> LockedCheckpoint:
    from ckpttool.files.sums import file_sums

    checkpoint, tensors = evidence.checkpoint, evidence.named
    forward = None if evidence.forward.status != "run" else _forward(evidence, progress)
    sources = [source for source in checkpoint.sources if isinstance(source, FileSource)]
    digests = evidence.values.tensors
    locked = LockedCheckpoint(
        name_from(lock, checkpoint.path),
        fingerprint,
        evidence.coverage.schema,
        tuple(
            LockedFile(name_from(lock, source.name), source.size, sha256)
            for source, sha256 in zip(sources, file_sums(sources))
        ),
        forward,
        {
            name: LockedTensor(
                info.dtype.name, info.shape, digests[evidence.recorded.get(name, name)].digest
            )
            for name, info in sorted(tensors.items())
        },
    )
    checkpoint.check_unchanged()
    return locked


def _forward(evidence: Evidence, progress: Progress | None) -> LockedForward:
    from ckpttool.verification.controls import measure, passes

    config, tensors = evidence.config, evidence.canonical.tensors
    if progress:
        progress.start(passes(evidence.family, config, tensors) * evidence.checkpoint.size)

    def passed() -> None:
        if progress:
            progress.advance(evidence.checkpoint.size)

    right = evidence.forward
    found = measure(evidence.family, config, tensors, right, passed)
    return LockedForward(
        right.scope or evidence.family.core,
        right.kept,
        right.outputs,
        found.rounding,
        found.tolerance,
        found.controls,
    )
