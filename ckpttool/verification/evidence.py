"""What the checks look at: everything known of one checkpoint, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckpttool.verification.options import Thresholds
from ckpttool.verification.release_files import Surroundings

if TYPE_CHECKING:
    from ckpttool.findings.results import Coverage, ForwardSummary
    from ckpttool.models.canonical import Canonical
    from ckpttool.models.family import Family, ModelConfig
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo
    from ckpttool.tensors.values import Values
    from ckpttool.verification.lock.content import Lock, LockedCheckpoint


class Evidence(NamedTuple):
    """One checkpoint and what was learnt of it.

    Attributes:
        checkpoint: the catalogue of the file.
        canonical: its tensors under the names of the canonical layout.
        family: the models among which it is looked at.
        config: the one of them that it is compared with.
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
    family: Family
    config: ModelConfig
    coverage: Coverage
    values: Values
    forward: ForwardSummary
    require: str
    expected_missing: tuple[str, ...] = ()
    surroundings: Surroundings = Surroundings()
    limits: Thresholds = Thresholds()
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

    def outside(self) -> frozenset[str]:
        """Return the names whose role nobody knows: the model has no place for them.

        A buffer, a mask, a layer that begins at zero or a second copy may lie there on purpose.
        A block beyond the model's depth is made as the others are.
        """
        unexpected = frozenset(self.coverage.unexpected)
        role_of = self.family.role_of
        roles = {role_of(name) for name in self.canonical.tensors if name not in unexpected}
        return frozenset(
            name for name in unexpected if role_of(name) is None or role_of(name) not in roles
        )


def is_matrix(info: TensorInfo) -> bool:
    """Whether a tensor has two and more axes that are longer than 1.

    Others are vectors or single numbers in whatever shape: a class token (1, 1, D), the
    magnitudes of a weight normalisation (D, 1, 1), a scale (1, 1).
    """
    return sum(length > 1 for length in info.shape) >= 2
