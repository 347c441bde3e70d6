"""Checks against the lock file: nothing that was locked may have changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Sequence

from ckpttool.findings import rules
from ckpttool.findings.finding import Finding, finding
from ckpttool.findings.results import LockSummary
from ckpttool.findings.text import count
from ckpttool.verification.lock.content import distance

if TYPE_CHECKING:
    from ckpttool.findings.results import FileReport
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.verification.examined import Examined
    from ckpttool.verification.lock.content import (
        Lock,
        LockedCheckpoint,
        LockedForward,
        LockedTensor,
    )


def check_lock(examined: Examined) -> Iterator[Finding]:
    """Compare everything with what is locked of the checkpoint."""
    if examined.lock is None:
        return
    locked = examined.locked
    if locked is None:
        yield finding(
            rules.LOCK_ENTRY,
            f"the lock file {examined.lock.path} says nothing of this checkpoint",
            expected=", ".join(one.name for one in examined.lock.checkpoints[:8]),
            found=examined.checkpoint.path,
        )
        return
    yield from _schema(examined, locked)
    yield from _names(examined, locked)
    yield from _tensors(examined, locked)
    if locked.forward is not None:
        yield from _forward(examined, locked.forward)


def check_all_found(
    files: Sequence[FileReport], locks: Sequence[tuple[Lock, Sequence[str]]]
) -> Iterator[Finding]:
    """Yield what is locked and not there, in a run over whole folders.

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
                fix=None,
            )


def _schema(examined: Examined, locked: LockedCheckpoint) -> Iterator[Finding]:
    expected, found = locked.schema, examined.coverage.schema
    if expected != found:
        message = "the weights were locked as those of another model"
        yield finding(rules.LOCK_SCHEMA, message, expected=expected, found=found)


def _names(examined: Examined, locked: LockedCheckpoint) -> Iterator[Finding]:
    there = examined.named
    gone = [name for name in locked.tensors if name not in there]
    added = [name for name in there if name not in locked.tensors]
    if gone:
        message = f"{count(len(gone), 'tensor')} of the lock file not in the checkpoint"
        yield finding(rules.LOCK_GONE, message, tensors=gone)
    if added:
        message = f"{count(len(added), 'tensor')} not in the lock file"
        yield finding(rules.LOCK_ADDED, message, tensors=added)


def _tensors(examined: Examined, locked: LockedCheckpoint) -> Iterator[Finding]:
    there = examined.named
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
        elif not _is_same(examined, name, info, tensor):
            changed.append(name)
    for (expected, found), names in others.items():
        message = f"{count(len(names), 'tensor')} of another dtype or shape than locked"
        yield finding(rules.LOCK_GEOMETRY, message, tensors=names, expected=expected, found=found)
    if changed:
        message = f"{count(len(changed), 'tensor')} with other values than locked"
        yield finding(rules.LOCK_CONTENT, message + _of_another(examined, locked), tensors=changed)


def _of_another(examined: Examined, locked: LockedCheckpoint) -> str:
    """Say under which other name the lock file has these weights, if it has."""
    for one in examined.lock.checkpoints if examined.lock else ():
        if one is not locked and one.fingerprint == examined.fingerprint:
            return f": they are those that are locked as {one.name}"
    return ""


def _forward(examined: Examined, locked: LockedForward) -> Iterator[Finding]:
    reason = _why_not_compared(examined, locked)
    if reason is not None:
        message = f"what the model computes was not compared with the lock: {reason}"
        yield finding(rules.LOCK_FORWARD_OPEN, message)
        return
    if examined.forward.kept != locked.kept:
        yield finding(
            rules.LOCK_FORWARD,
            "the fixed masking noise keeps other patches than when the weights were locked",
            expected=" ".join(map(str, locked.kept)),
            found=" ".join(map(str, examined.forward.kept)),
        )
        return
    far, most = _distance(examined, locked)
    if not far <= most:
        yield finding(
            rules.LOCK_FORWARD,
            "the model computes something else than when the weights were locked",
            expected=f"a distance of at most {most:.2g}",
            found=f"{far:.2g}",
        )


def _distance(examined: Examined, locked: LockedForward) -> tuple[float, float]:
    """Return how far the outputs are from the locked ones, and how far they may be."""
    assert locked.tolerance is not None  # noqa: S101 (a reason not to compare)
    now = {name: examined.forward.outputs[name] for name in locked.outputs}
    return distance(locked.outputs, now), locked.tolerance


def _why_not_compared(examined: Examined, locked: LockedForward) -> str | None:
    if locked.tolerance is None:
        return "no control moved the outputs when they were locked"
    if examined.forward.status != "run":
        return f"the forward pass was not run ({examined.forward.reason})"
    if not set(locked.outputs) <= set(examined.forward.outputs):
        return "the decoder was not run"
    return None


def summary(examined: Examined) -> LockSummary | None:
    """Return what the comparison came to; ``None`` if nothing is locked of the checkpoint."""
    locked = examined.locked
    if locked is None:
        return None
    there = examined.named
    same = sum(
        1
        for name, tensor in locked.tensors.items()
        if name in there and _is_same(examined, name, there[name], tensor)
    )
    far: tuple[float, float] | tuple[None, None] = (None, None)
    if locked.forward is not None and _why_not_compared(examined, locked.forward) is None:
        far = _distance(examined, locked.forward)
    return LockSummary(locked.name, len(locked.tensors), same, *far)


def _is_same(examined: Examined, name: str, info: TensorInfo, tensor: LockedTensor) -> bool:
    values = examined.values.tensors.get(examined.recorded.get(name, name))
    return (
        (info.dtype.name, info.shape) == (tensor.dtype, tensor.shape)
        and values is not None
        and values.digest == tensor.sha256
    )
