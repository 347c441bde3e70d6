"""What the checks look at: everything known of one checkpoint, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckpttool.limits import Limits
from ckpttool.surroundings import Surroundings

if TYPE_CHECKING:
    from ckpttool.coverage import Coverage
    from ckpttool.layouts import Canonical
    from ckpttool.locks.locked import Lock, LockedCheckpoint
    from ckpttool.results import ForwardSummary
    from ckpttool.tensors import Checkpoint, TensorInfo
    from ckpttool.values import Values
    from mae.config import MAEConfig


class Examined(NamedTuple):
    """One checkpoint and what was learnt of it.

    Attributes:
        checkpoint: the catalogue of the file.
        canonical: its tensors under the names of the canonical layout.
        config: the model that it is compared with.
        coverage: the names, shapes and dtypes against the model's schema.
        values: statistics and digests by canonical name.
        forward: the forward pass, or why it was not run.
        require: ``"encoder"`` or ``"full"``: what a release must hold.
        surroundings: what lies beside the file.
        expected_missing: globs on names that the file may lack.
        limits: what the checks tolerate.
        recorded: names that the file only records as tied, to those that it stores.
        fingerprint: of the weights; ``None`` if one of them was not read.
        lock: the lock file to compare with, if any.
        locked: what it says of this checkpoint, if anything.
        trust: patterns of names whose code is trusted.
    """

    checkpoint: Checkpoint
    canonical: Canonical
    config: MAEConfig
    coverage: Coverage
    values: Values
    forward: ForwardSummary
    require: str
    expected_missing: tuple[str, ...] = ()
    surroundings: Surroundings = Surroundings()
    limits: Limits = Limits()
    recorded: dict[str, str] = {}  # noqa: RUF012 (never changed)
    fingerprint: str | None = None
    lock: Lock | None = None
    locked: LockedCheckpoint | None = None
    trust: tuple[str, ...] = ()

    @property
    def named(self) -> dict[str, TensorInfo]:
        """The tensors by canonical name, those that are only recorded included."""
        tensors = self.canonical.tensors
        return {**tensors, **{name: tensors[kept] for name, kept in self.recorded.items()}}
