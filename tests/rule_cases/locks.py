"""DIF: weights against a lock of them that was changed, and against their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, Iterable
from unittest import mock

from ckpttool.findings.finding import Finding
from ckpttool.inputs.paths import targets_of
from ckpttool.verification.checks.locked import check_all_found
from ckpttool.verification.lock.content import Lock, LockedCheckpoint, LockedTensor
from ckpttool.verification.locking import lock_file
from ckpttool.verification.options import VerifyOptions
from ckpttool.verification.run import verify_file
from mae.config import CONFIGS
from tests.builders import checkpoints, locks
from tests.builders.policies import file_with
from tests.builders.sizes import TINY
from tests.rule_cases.runs import Case, Run

Change = Callable[[LockedCheckpoint], LockedCheckpoint]


def locked(change: Change, *, forward: bool = False, name: str = "weights.pth") -> Run:
    """Lock a sound file, change what is locked, and verify the file against it."""

    def run(folder: Path) -> Iterable[Finding]:
        path = checkpoints.saved(folder, checkpoints.sound)
        with mock.patch.dict(CONFIGS, tiny=TINY):
            options = VerifyOptions("tiny", forward=forward)
            own = lock_file(path, str(folder / "x.lock"), options, lambda _: True).locked
            assert own is not None
            # a second checkpoint: the only one would be meant by every path
            other = own._replace(name="z.pth", fingerprint="", tensors={})
            lock = Lock(str(folder / "x.lock"), (change(own._replace(name=name)), other))
            return verify_file(path, options._replace(lock=lock)).findings

    return run


def unchanged(own: LockedCheckpoint) -> LockedCheckpoint:
    return own


def tensor(**fields: Any) -> Change:
    """Change what is locked of one tensor."""

    def change(own: LockedCheckpoint) -> LockedCheckpoint:
        changed = own.tensors["norm.bias"]._replace(**fields)
        return own._replace(tensors={**own.tensors, "norm.bias": changed})

    return change


def one_more(own: LockedCheckpoint) -> LockedCheckpoint:
    return own._replace(tensors={**own.tensors, "x": LockedTensor("int8", (), "00" * 32)})


def one_less(own: LockedCheckpoint) -> LockedCheckpoint:
    tensors = {name: one for name, one in own.tensors.items() if name != "norm.bias"}
    return own._replace(tensors=tensors)


def other_patches(own: LockedCheckpoint) -> LockedCheckpoint:
    assert own.forward is not None
    return own._replace(forward=own.forward._replace(kept=(0, 1, 2, 3)))


def no_tolerance(own: LockedCheckpoint) -> LockedCheckpoint:
    assert own.forward is not None
    return own._replace(forward=own.forward._replace(tolerance=None))


def gone(name: str) -> Run:
    """Verify a folder that has one file, ``a.pth``, against a lock of it and of ``name``."""

    def run(folder: Path) -> Iterable[Finding]:
        (folder / "a.pth").write_bytes(b"")
        entries = tuple(locks.checkpoint(one) for one in dict.fromkeys(("a.pth", name)))
        found = targets_of([str(folder)])
        files = [file_with()._replace(path=target.path) for target in found.targets]
        lock = Lock(str(folder / "x.lock"), entries)
        return check_all_found(files, [(lock, found.folders)])

    return run


OWN = locked(unchanged)

CASES: Dict[str, Case] = {
    "DIF001": Case(locked(tensor(sha256="00" * 32)), OWN),
    "DIF002": Case(locked(one_more), OWN),
    "DIF003": Case(locked(one_less), OWN),
    "DIF004": Case(locked(tensor(dtype="float16")), OWN),
    "DIF005": Case(locked(other_patches, forward=True), locked(unchanged, forward=True)),
    "DIF006": Case(locked(lambda own: own._replace(fingerprint=""), name="a.pth"), OWN),
    "DIF007": Case(locked(lambda own: own._replace(schema="huge")), OWN),
    "DIF009": Case(gone("b.pth"), gone("a.pth")),
    "DIF008": Case(locked(no_tolerance, forward=True), locked(unchanged, forward=True)),
}
