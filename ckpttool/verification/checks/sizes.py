"""Which known size of the model a file has, by its shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, NamedTuple

from ckpttool.models.coverage import cover
from ckpttool.models.family import depth_of
from ckpttool.models.schema import schema_of

if TYPE_CHECKING:
    from ckpttool.findings.results import Coverage
    from ckpttool.verification.evidence import Evidence


class Size(NamedTuple):
    """A known size of the model, and how much of it a file covers."""

    name: str
    coverage: Coverage

    @property
    def filled(self) -> bool:
        """Whether the file has the whole core of this size, and all or nothing of the others."""
        others = self.coverage.others.values()
        return self.coverage.core.complete and all(one.complete or one.absent for one in others)

    @property
    def misfits(self) -> frozenset[str]:
        """The names of the tensors that have another shape than in this size."""
        mismatched = (one for group in self.coverage.groups.values() for one in group.mismatched)
        return frozenset(one.name for one in mismatched if not one.same_shape)


def known_size(evidence: Evidence) -> Size | None:
    """Return the other size whose core has the file's depth and shapes, if exactly one has.

    Tensors of it may be missing from the file, and a decoder may be of another size.
    """
    found = list(_sizes(evidence))
    return found[0] if len(found) == 1 else None  # of two, naming one would be a guess


def _sizes(evidence: Evidence) -> Iterator[Size]:
    tensors, family = evidence.canonical.tensors, evidence.family
    token = tensors.get(family.class_token)
    depth = depth_of(tensors, family.core_stack)
    for name, config in family.sizes.items():
        # most are told apart by their width, before their schema is made
        if config == evidence.config or token is None or token.shape != (1, 1, config.embed_dim):
            continue
        size = Size(name, cover(tensors, schema_of(family, config, name)))
        mismatched = size.coverage.core.mismatched
        if depth == config.depth and all(one.same_shape for one in mismatched):
            yield size
