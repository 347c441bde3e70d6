"""Checks against the lock file: what was locked must not have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Sequence

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.results import LockSummary
from ckpttool.findings.text import count
from ckpttool.models.families import models
from ckpttool.verification.lock.content import distance
from ckpttool.verification.weights import Weights

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.verification.evidence import Evidence
    from ckpttool.verification.lock.content import (
        Lock,
        LockedCheckpoint,
        LockedForward,
        LockedTensor,
    )


def check_lock(evidence: Evidence) -> Iterator[Finding]:
    """Compare everything with what is locked of the checkpoint."""
    if evidence.lock is None:
        return
    locked = evidence.locked
    if locked is None:
        yield finding(
            rules.LOCK_ENTRY,
            f"the lock file {evidence.lock.path} says nothing of this checkpoint",
            expected=", ".join(one.name for one in evidence.lock.checkpoints[:8]),
            found=evidence.checkpoint.path,
        )
        return
    yield from _schema(evidence, locked)
    yield from _names(evidence, locked)
    yield from _tensors(evidence, locked)
    if locked.forward is not None:
        yield from _forward(evidence, locked.forward)


def check_all_found(
    files: Sequence[FileReport], locks: Sequence[tuple[Lock, Sequence[str]]]
) -> Iterator[Finding]:
    """Yield what is locked and missing, in a run over whole folders.

    Args:
        files: the reports on the checkpoints of the run.
        locks: each lock file, and the folders in which all that is locked must lie.
    """
    matched = [(file.path, file.fingerprint) for file in files]
    for lock, folders in locks:
        for entry in lock.unmatched(folders, matched):
            yield finding(
                rules.LOCK_UNMATCHED,
                f"{entry.name} is locked, and no file of the folder is it",
                expected=entry.fingerprint,
            )


def _schema(evidence: Evidence, locked: LockedCheckpoint) -> Iterator[Finding]:
    expected, found = locked.schema, evidence.coverage.schema
    # the name of a schema is that of a file, and all that it says is locked tensor by tensor
    if expected != found and evidence.reference is None:
        message = "the weights were locked as another model"
        # sizes in words are no name that --model takes
        fix = f"Pass --model {expected}. If this model is intended, write the lock again."
        known = fix if expected in models() else None
        yield finding(rules.LOCK_SCHEMA, message, expected=expected, found=found, fix=known)


def _names(evidence: Evidence, locked: LockedCheckpoint) -> Iterator[Finding]:
    there = _weights(evidence).tensors
    gone = [name for name in locked.tensors if name not in there]
    added = [name for name in there if name not in locked.tensors]
    if gone:
        message = f"{count(len(gone), 'tensor')} of the lock file not in the checkpoint"
        yield finding(rules.LOCK_GONE, message, tensors=gone)
    if added:
        message = f"{count(len(added), 'tensor')} not in the lock file"
        yield finding(rules.LOCK_ADDED, message, tensors=added)


def _tensors(evidence: Evidence, locked: LockedCheckpoint) -> Iterator[Finding]:
    there = _weights(evidence).tensors
    others: dict[tuple[str, str], list[str]] = {}
    changed = []
    for name, tensor in locked.tensors.items():
        info = there.get(name)
        if info is None:
            continue
        if (tensor.dtype, tensor.shape) != (info.dtype.name, info.shape):
            sides = (
                f"{tensor.dtype} {list(tensor.shape)}",
                f"{info.dtype.name} {list(info.shape)}",
            )
            others.setdefault(sides, []).append(name)
        elif not _is_same(evidence, name, info, tensor):
            changed.append(name)
    for (expected, found), names in others.items():
        message = f"{count(len(names), 'tensor')} of another dtype or shape than locked"
        yield finding(rules.LOCK_GEOMETRY, message, tensors=names, expected=expected, found=found)
    if changed:
        message = f"{count(len(changed), 'tensor')} with other values than locked"
        yield finding(rules.LOCK_CONTENT, message + _of_another(evidence, locked), tensors=changed)


def _of_another(evidence: Evidence, locked: LockedCheckpoint) -> str:
    """Say under which other name the lock file has these weights, if it has."""
    for one in evidence.lock.checkpoints if evidence.lock else ():
        if one is not locked and one.fingerprint == evidence.fingerprint:
            return f": they are those that are locked as {one.name}"
    return ""


def _forward(evidence: Evidence, locked: LockedForward) -> Iterator[Finding]:
    reason = _why_not_compared(evidence, locked)
    if reason is not None:
        message = f"the model's outputs were not compared with the lock: {reason}"
        yield finding(rules.LOCK_FORWARD_OPEN, message)
        return
    # outputs of other patches differ whatever the weights are, so that is reported alone
    if evidence.forward.kept != locked.kept:
        yield finding(
            rules.LOCK_FORWARD,
            "the fixed masking noise keeps other patches than when the weights were locked",
            expected=" ".join(map(str, locked.kept)),
            found=" ".join(map(str, evidence.forward.kept)),
        )
        return
    far, most = _distance(evidence, locked)
    if not far <= most:  # NaN is too far as well
        yield finding(
            rules.LOCK_FORWARD,
            "the model's outputs differ from those in the lock file",
            expected=f"a distance of at most {most:.2g}",
            found=f"{far:.2g}",
        )


def _distance(evidence: Evidence, locked: LockedForward) -> tuple[float, float]:
    """Return how far the outputs are from the locked ones, and how far they may be."""
    assert locked.tolerance is not None  # noqa: S101 (a reason not to compare)
    now = {name: evidence.forward.outputs[name] for name in locked.outputs}
    return distance(locked.outputs, now), locked.tolerance


def _why_not_compared(evidence: Evidence, locked: LockedForward) -> str | None:
    if locked.tolerance is None:
        return "no control moved the outputs when they were locked"
    if evidence.forward.status != "run":
        return f"the forward pass was not run ({evidence.forward.reason})"
    if not set(locked.outputs) <= set(evidence.forward.outputs):
        return f"the {evidence.family.groups[-1]} was not run"
    return None


def summary(evidence: Evidence) -> LockSummary | None:
    """Return the result of the comparison; ``None`` if nothing is locked of the checkpoint."""
    locked = evidence.locked
    if locked is None:
        return None
    there = _weights(evidence).tensors
    same = sum(
        1
        for name, tensor in locked.tensors.items()
        if name in there and _is_same(evidence, name, there[name], tensor)
    )
    far: tuple[float, float] | tuple[None, None] = (None, None)
    if locked.forward is not None and _why_not_compared(evidence, locked.forward) is None:
        far = _distance(evidence, locked.forward)
    return LockSummary(locked.name, len(locked.tensors), same, *far)


def _is_same(evidence: Evidence, name: str, info: TensorInfo, tensor: LockedTensor) -> bool:
    same = (info.dtype.name, info.shape) == (tensor.dtype, tensor.shape)
    return same and _weights(evidence).digests.get(name) == tensor.sha256


def _weights(evidence: Evidence) -> Weights:
    return evidence.weights or Weights({}, {}, None)
