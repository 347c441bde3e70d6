"""What is measured of both sides of a pair while its bytes are compared."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Sequence

import numpy as np

from ckpttool.comparison.numbers.stretches import units
from ckpttool.tensors.measures import Measured, Measures, measured_each, stride_for
from ckpttool.tensors.statistics import ROW

if TYPE_CHECKING:
    from ckpttool.comparison.numbers.stretches import Block, Group, Pair
    from ckpttool.tensors.dtypes import DType


class OfPair:
    """Measures of both sides of a part of a large pair.

    Args:
        pair: the tensors, of types with numbers.
        sample: elements of each that make its sample, at most.
    """

    def __init__(self, pair: Pair, sample: int) -> None:
        stride = stride_for(units(pair.left), sample)
        # blocks of equal bytes are looked at once, for both sides
        self._both = Measures(pair.left.dtype, stride)
        self._apart = [Measures(info.dtype, stride) for info in pair]

    @cached_property
    def sides(self) -> tuple[Measured, Measured]:
        """What was measured of each side, once all parts are added."""
        # merged once: tied tensors share what was measured, and each of their names asks for it
        for side in self._apart:
            side.merge(self._both)
        left, right = (side.measured for side in self._apart)
        return left, right

    def add(self, block: Block, *, equal: bool) -> None:
        """Add a block of which the bytes are equal on both sides, or are not."""
        with np.errstate(all="ignore"):  # NaN is counted, so numpy need not warn
            for side, raw in zip([self._both] if equal else self._apart, block.raw):
                side.add_at(block.first, raw)

    def merge(self, later: OfPair) -> None:
        """Add what was measured of other parts."""
        self._both.merge(later._both)
        for side, other in zip(self._apart, later._apart):
            side.merge(other)


def of_small(
    group: Group, left: Sequence[bytes], right: Sequence[bytes], sample: int
) -> list[tuple[Measured, Measured]]:
    """Measure small pairs of one pair of types; those of one length together."""
    dtypes = group.dtypes
    found = _each(dtypes[0], left, sample)
    if dtypes[0] == dtypes[1]:
        others = [place for place, pair in enumerate(zip(left, right)) if pair[0] != pair[1]]
    else:
        others = list(range(len(right)))
    differing = dict(zip(others, _each(dtypes[1], [right[place] for place in others], sample)))
    return [(one, differing.get(place, one)) for place, one in enumerate(found)]


def _each(dtype: DType, tensors: Sequence[bytes], sample: int) -> list[Measured]:
    by_length: dict[int, list[int]] = {}
    for place, raw in enumerate(tensors):
        by_length.setdefault(len(raw), []).append(place)
    found: dict[int, Measured] = {}
    with np.errstate(all="ignore"):
        for length, places in by_length.items():
            if length * 8 < ROW * dtype.part_bits:
                joined = memoryview(b"".join([tensors[place] for place in places]))
                _, each = measured_each(dtype, joined, len(places), sample)
            else:
                each = [_alone(dtype, tensors[place], sample) for place in places]
            found.update(zip(places, each))
    return [found[place] for place in range(len(tensors))]


def _alone(dtype: DType, raw: bytes, sample: int) -> Measured:
    measures = Measures(dtype, stride_for(len(raw) // dtype.itemsize, sample))
    measures.add(memoryview(raw))
    return measures.measured
