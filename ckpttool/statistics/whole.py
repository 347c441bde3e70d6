"""The tensors of one file with what was measured of them, where nothing else is to be read."""

from __future__ import annotations

from functools import cached_property
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
    places = Places(canonical)
    return [
        _seen(name, info, places.canonical(name), values)
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
        workers: threads that read; ``None`` for one per processor.
        executor: to run them, instead of own threads.
        progress: told how far the reading is.

    Raises:
        CkpttoolError: a tensor cannot be read.
    """
    places = Places(canonical)
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
        [_seen(name, info, places.of(name), values) for name, info in tensors.items()]
    )


class Places:
    """The places of a file's tensors, by the names of the file and by canonical ones."""

    def __init__(self, canonical: Canonical) -> None:
        self._canonical = canonical
        self._unclaimed = frozenset(canonical.unclaimed)

    @cached_property
    def _own(self) -> dict[str, TensorPlace]:
        found: dict[str, TensorPlace] = {}
        for name, origins in self._canonical.origins.items():
            place = self.canonical(name)
            if len(origins) == 1:
                found[origins[0]] = place
                continue
            for origin in origins:
                # parts of one tensor of the model have the roles that the file gives them
                found[origin] = place._replace(role=place_of(origin, None).role)
        return found

    def canonical(self, name: str) -> TensorPlace:
        """Return the place of a tensor by its canonical name."""
        # what no rule of the convention claims may be of any model
        return place_of(name, None if name in self._unclaimed else self._canonical.family)

    def of(self, name: str) -> TensorPlace:
        """Return the place of a tensor by a name of the file, or a canonical one."""
        if name in self._own:
            return self._own[name]
        return self.canonical(name) if name in self._canonical.tensors else place_of(name, None)


def _seen(name: str, info: TensorInfo, place: TensorPlace, values: Values) -> Seen:
    one = values.tensors.get(name)
    return Seen(name, info, place, one.measured if one else None, values.skipped.get(name))
