"""What fingerprint and lock file are about: the weights, under names that no schema changes.

A file may be held against a schema whose names are those of the file. Its fingerprint is still that
of :func:`ckpttool.fingerprint`, and what was locked with one schema can be compared with another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ckpttool.models.canonical import canonicalize
from ckpttool.tensors.fingerprint import fingerprint as fingerprint_of
from ckpttool.tensors.sharing import tied_names, with_tied

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from typing import Callable, Mapping

    from ckpttool.models.canonical import Canonical
    from ckpttool.tensors.catalogue import Checkpoint, TensorInfo
    from ckpttool.tensors.values import Values

    Renaming = Callable[[Mapping[str, TensorInfo]], Canonical]


class Weights(NamedTuple):
    """The weights of a checkpoint.

    Attributes:
        tensors: by canonical name, tied names that are not stored among them.
        digests: SHA-256 by the same names, of all that were read.
        fingerprint: ``None`` if one was not read, or there is none.
    """

    tensors: dict[str, TensorInfo]
    digests: dict[str, str]
    fingerprint: str | None


def weights_of(
    checkpoint: Checkpoint,
    canonical: Canonical,
    values: Values,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
) -> Weights | None:
    """Return the weights of a checkpoint; ``None`` if their digests were not asked for.

    Args:
        checkpoint: the file.
        canonical: its tensors under the names that they were read by.
        values: what was read.
        workers: threads that read what has to be read again.
        executor: where they come from.
    """
    if not values.digested:
        return None
    digests = {name: found.digest for name, found in values.tensors.items()}
    named = canonical if canonical.family is not None else canonicalize(checkpoint.tensors)
    if named.family is not canonical.family:
        digests = _renamed(named, digests, workers, executor)
    tensors = dict(named.tensors)
    for name, stored in recorded_in(checkpoint, named, canonicalize).items():
        tensors[name] = tensors[stored]
        if stored in digests:
            digests[name] = digests[stored]
    whole = tensors and len(digests) == len(tensors) and not checkpoint.unread
    return Weights(tensors, digests, _fingerprint(tensors, digests) if whole else None)


def recorded_in(checkpoint: Checkpoint, canonical: Canonical, renaming: Renaming) -> dict[str, str]:
    """Return tied names that are not stored -> the stored names with their weights."""
    # In fingerprint and lock file they count, so that all containers have the same. In the
    # coverage they do not: a loader does not find them.
    if not tied_names(checkpoint.tensors, checkpoint.metadata):
        return {}
    every = renaming(with_tied(checkpoint.tensors, checkpoint.metadata)).tensors
    stored = {info.view: name for name, info in canonical.tensors.items()}
    return {
        name: stored[info.view]
        for name, info in every.items()
        if name not in canonical.tensors and info.view in stored
    }


def _renamed(
    named: Canonical,
    digests: Mapping[str, str],
    workers: int | None,
    executor: Executor | None,
) -> dict[str, str]:
    """Return the digests by canonical names; what was put together of parts is read again."""
    from ckpttool.tensors.values import start_values  # late: numpy

    found, joined = {}, {}
    for name, origins in named.origins.items():
        if len(origins) > 1:
            joined[name] = named.tensors[name]
        elif origins[0] in digests:
            found[name] = digests[origins[0]]
    if joined:
        with start_values(joined, (), workers=workers, executor=executor) as run:
            found.update((name, one.digest) for name, one in run.result().tensors.items())
    return found


def _fingerprint(tensors: Mapping[str, TensorInfo], digests: Mapping[str, str]) -> str:
    return fingerprint_of(
        (name, info.dtype.name, info.shape, digests[name]) for name, info in tensors.items()
    )
