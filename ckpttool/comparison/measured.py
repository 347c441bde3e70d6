"""The statistics of both files of a comparison, in the same bins.

What the files share is measured as it is compared; what only one of them has, or what could not be
compared, is read for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, Sequence

from ckpttool.comparison.numbers.compare import SideError
from ckpttool.findings.errors import CkpttoolError
from ckpttool.statistics.gather import Seen, statistics_of_sides
from ckpttool.statistics.whole import Places
from ckpttool.tensors.values import start_values

if TYPE_CHECKING:
    from ckpttool.comparison.options import DiffOptions
    from ckpttool.comparison.pairing import Pairing
    from ckpttool.findings.statistics import Statistics
    from ckpttool.models.canonical import Canonical
    from ckpttool.tensors.catalogue import TensorInfo
    from ckpttool.tensors.measures import Measured
    from ckpttool.tensors.values import Values


def statistics_of_both(
    pairing: Pairing,
    canonical: Sequence[Canonical],
    measured: Mapping[str, tuple[Measured, Measured]],
    renamed: Mapping[str, str],
    options: DiffOptions,
) -> tuple[Statistics, Statistics]:
    """Return the statistics of the left and of the right file.

    Args:
        pairing: which tensors belong together.
        canonical: each file's tensors under canonical names.
        measured: what the comparison measured of both sides, by the name on the left.
        renamed: name on the left -> the name of the same tensor on the right.
        options: those of the comparison.

    Raises:
        SideError: a file could not be read.
    """
    sides = []
    back = {right: left for left, right in renamed.items()}
    for side, named in enumerate((pairing.left, pairing.right)):
        # a tensor has the same name in both, by which reports find it
        names = {match.right if side else match.left: match.left for match in pairing.matches}
        alone = (pairing.only_left, pairing.only_right)[side]
        names.update((name, back.get(name, name) if side else name) for name in alone)
        rest = {name: named.tensors[name] for name in names if names[name] not in measured}
        values = _read(rest, side, options)
        places = Places(canonical[side])
        seen = []
        for name, info in named.tensors.items():
            if name not in names:
                continue
            found = measured[names[name]][side] if names[name] in measured else None
            one = values.tensors.get(name)
            if found is None and one is not None:
                found = one.measured
            why = values.skipped.get(name)
            seen.append(Seen(names[name], info, places.of(name), found, why))
        sides.append(seen)
    left, right = statistics_of_sides(sides)
    return left, right


def _read(tensors: Mapping[str, TensorInfo], side: int, options: DiffOptions) -> Values:
    try:
        with start_values(
            tensors,
            (),
            digests=False,
            workers=options.workers,
            executor=options.executor,
            measure=True,
        ) as run:
            return run.result()
    except CkpttoolError as error:
        raise SideError(side, error) from error
