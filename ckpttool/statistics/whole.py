"""The tensors of one file with what was measured of them, where nothing else is to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping

from ckpttool.models.places import TensorPlace, place_of
from ckpttool.statistics.gather import Seen, statistics_of
from ckpttool.tensors.values import start_values

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.findings.statistics import Statistics
    from ckpttool.models.canonical import Canonical
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.values import Values
    from ckpttool.tensors.workers import Progress


def seen_of(canonical: Canonical, values: Values) -> list[Seen]:
    """Return the tensors of a file, under their canonical names, with what was measured."""
    unclaimed = frozenset(canonical.unclaimed)
    return [
        _seen(name, info, place_of(name, None if name in unclaimed else canonical.family), values)
        for name, info in canonical.tensors.items()
    ]


def statistics_of_file(
    tensors: Mapping[str, TensorInfo],
    canonical: Canonical,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Statistics:
    """Read the tensors of a file and return their statistics, under the names that it uses.

    Args:
        tensors: those of the file, or some of them.
        canonical: all of them under canonical names, which say where each stands.
        workers: threads that read; ``None`` for one a processor.
        executor: to run them, instead of own threads.
        progress: told how far the reading is.

    Raises:
        CkpttoolError: a tensor cannot be read.
    """
    places = _places_in(canonical)
    with start_values(
        tensors,
        (),
        digests=False,
        workers=workers,
        executor=executor,
        progress=progress.advance if progress else None,
        measure=True,
    ) as run:
        if progress:
            progress.start(run.total)
        values = run.result()
    return statistics_of(
        [
            _seen(name, info, places.get(name) or place_of(name, None), values)
            for name, info in tensors.items()
        ]
    )


def _places_in(canonical: Canonical) -> dict[str, TensorPlace]:
    """Return the places of tensors by the names of the file."""
    found: dict[str, TensorPlace] = {}
    unclaimed = frozenset(canonical.unclaimed)
    for name, origins in canonical.origins.items():
        place = place_of(name, None if name in unclaimed else canonical.family)
        for origin in origins:
            # parts of one tensor of the model have the roles that the file gives them
            own = place.role if len(origins) == 1 else place_of(origin, None).role
            found[origin] = place._replace(role=own)
    return found


def _seen(name: str, info: TensorInfo, place: TensorPlace, values: Values) -> Seen:
    one = values.tensors.get(name)
    return Seen(name, info, place, one.measured if one else None, values.skipped.get(name))
