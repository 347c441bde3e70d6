"""What the checks get: everything that is known of one checkpoint, as values."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ckpttool.verification.options import Thresholds
from ckpttool.verification.parts import SeenParts
from ckpttool.verification.pictures import Pictures
from ckpttool.verification.quantized_file import NOTHING, QuantizedFile
from ckpttool.verification.release_files import ReleaseFiles

if TYPE_CHECKING:
    from ckpttool.findings.results import Coverage, ForwardSummary
    from ckpttool.models.canonical import Canonical
    from ckpttool.models.choosing import Judged
    from ckpttool.models.family import Family, ModelConfig
    from ckpttool.models.reference import Reference
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo
    from ckpttool.tensors.values import Values
    from ckpttool.verification.companion import Companion
    from ckpttool.verification.lock.content import Lock, LockedCheckpoint
    from ckpttool.verification.not_finite import FirstIndexes
    from ckpttool.verification.weights import Weights


class Evidence(NamedTuple):
    """One checkpoint and what was learnt of it; options as in :class:`VerifyOptions`.

    Attributes:
        checkpoint: the catalogue of the file.
        canonical: its tensors under the names of the model or schema that it is held against.
        family: of the model that it is compared with.
        config: the sizes of that model.
        judged: how it was chosen.
        coverage: the names, shapes and dtypes against the model's schema.
        values: statistics by canonical name, and digests if they were asked for.
        forward: the forward pass, or why it was not run.
        release_files: what lies beside the file.
        recorded: tied names that are not stored -> the stored names with their weights.
        contents: the SHA-256 of the tensors that may hold the same bytes as others.
        weights: what fingerprint and lock file are about; ``None`` if nobody asked for these.
        lock: the lock file to compare with, if any.
        locked: its entry for this checkpoint, if it has one.
        asked: the options that demand a model, as the command line takes them.
        quantized: its quantized weights.
        example: whether inputs for the forward pass were named.
        unknown: whether it is of no known model, and neither a model nor a schema was asked for.
        recognised: its tensors under the names of the known model that they are nearest to.
        parts: what the parts of tensors show that are more than bytes.
        not_finite: where the first NaN and the first infinity of a few tensors are.
        companion: another checkpoint that the file is held against, if any.
        pictures: what the model makes of the images that were named.
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
    release_files: ReleaseFiles = ReleaseFiles()
    limits: Thresholds = Thresholds()
    recorded: dict[str, str] = {}  # noqa: RUF012 (never changed)
    contents: dict[str, bytes] = {}  # noqa: RUF012 (never changed)
    weights: Weights | None = None
    lock: Lock | None = None
    locked: LockedCheckpoint | None = None
    trust: tuple[str, ...] = ()
    judged: Judged | None = None
    asked: str = ""
    reference: Reference | None = None
    allow_unexpected: tuple[str, ...] = ()
    unknown: bool = False
    recognised: Canonical | None = None
    quantized: QuantizedFile = NOTHING
    companion: Companion | None = None
    example: bool = False
    parts: SeenParts = SeenParts()
    pictures: Pictures = Pictures()
    not_finite: dict[str, FirstIndexes] = {}  # noqa: RUF012 (never changed)

    @property
    def has_roles(self) -> bool:
        """Whether the names are those of a known model, so that it is known what they are for."""
        return self.reference is None or self.reference.is_known

    @property
    def is_other(self) -> bool:
        """Whether the file is of another model: what it lacks of this one is no finding then."""
        if self.unknown:  # it is held against no model
            return False
        neighbour = self.judged.neighbour if self.judged else None
        # without a convention, the few names that are the same are so by chance
        by_chance = self.canonical.family is None and bool(self.canonical.unclaimed)
        return self.coverage.unrelated or by_chance or neighbour is not None

    @property
    def is_guessed(self) -> bool:
        """Whether the file does not show the sizes of its model: none of them is a finding then."""
        return self.judged is not None and self.judged.guessed

    @property
    def judged_apart(self) -> frozenset[str]:
        """The tensors that make up quantized weights, which have checks of their own."""
        return self.quantized.claimed

    @property
    def fingerprint(self) -> str | None:
        """That of the weights; ``None`` if one of them was not read, or nobody asked for it."""
        return None if self.weights is None else self.weights.fingerprint

    def content(self, name: str) -> bytes | str:
        """Return what a tensor has in common with those that hold the same bytes, and no others."""
        return self.contents.get(name, name)

    def outside(self) -> frozenset[str]:
        """Return the names that the model has no place for, and of which the role is unknown.

        A buffer, a mask, a layer that begins at zero or a second copy may lie there on purpose.
        """
        return _outside(self.family, self.coverage.unexpected, tuple(self.canonical.tensors))


@lru_cache(maxsize=1)  # many checks ask for the same
def _outside(family: Family, unexpected: tuple[str, ...], names: tuple[str, ...]) -> frozenset[str]:
    theirs = frozenset(unexpected)
    # a block beyond the model's depth has the roles of the others, and is judged like them
    roles = {family.role_of(name) for name in names if name not in theirs} - {None}
    return frozenset(name for name in theirs if family.role_of(name) not in roles)


def is_bias(evidence: Evidence, name: str) -> bool:
    """Whether a tensor of an unknown model is one that is added, so that it begins at zero.

    It may have several axes: one for each expert, or a table of relative positions.
    """
    return not evidence.has_roles and "bias" in name.rpartition(".")[2]


def is_matrix(info: TensorInfo) -> bool:
    """Whether a tensor has two or more axes that are longer than 1."""
    # not the number of axes: a class token (1, 1, D) and weight norm's (D, 1, 1) are vectors
    return sum(length > 1 for length in info.shape) >= 2
