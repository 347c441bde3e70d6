"""Extents that overlap make up one region, whatever their order, and its bytes count once."""

from __future__ import annotations

import itertools

import pytest

from ckpttool.tensors.catalogue import Extent
from ckpttool.tensors.sharing import covered, regions
from tests.builders.memory import MemorySource

ONE, OTHER = MemorySource(bytes(100)), MemorySource(bytes(100))


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        pytest.param([(0, 4), (2, 4)], [(0, 6)], id="overlapping"),
        pytest.param([(0, 9), (2, 3), (7, 3)], [(0, 10)], id="one-in-another"),
        pytest.param([(0, 4), (4, 4)], [(0, 4), (4, 4)], id="touching"),
        pytest.param([(0, 4), (8, 4)], [(0, 4), (8, 4)], id="apart"),
        pytest.param([(3, 4), (3, 4)], [(3, 4)], id="the-same"),
        pytest.param([], [], id="none"),
    ],
)
def test_extents_that_overlap_are_one_region(
    runs: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    for order in itertools.permutations(runs):
        extents = [Extent(ONE, *run) for run in order]
        found = regions(extents)
        assert sorted({region[1:] for region in found.values()}) == expected
        assert covered(extents) == sum(length for _, length in expected)
        for extent, region in found.items():
            assert region.offset <= extent.offset
            assert extent.offset + extent.length <= region.offset + region.length


def test_two_files_share_nothing() -> None:
    extents = [Extent(ONE, 0, 4), Extent(OTHER, 2, 4)]
    assert regions(extents) == {extent: extent for extent in extents}
