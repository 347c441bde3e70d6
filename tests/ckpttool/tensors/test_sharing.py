"""Extents that overlap make up one region, whatever their order, and its bytes count once."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpttool.tensors.catalogue import Extent, TensorInfo
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.sharing import covered, find_sharing, regions, tied_groups
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


# tensors of no bytes, or of up to two extents; many begin alike, in one file or in both
extents = st.builds(Extent, st.sampled_from([ONE, OTHER]), st.integers(0, 2), st.just(4))


@given(st.lists(st.lists(extents, max_size=2), max_size=6))
def test_the_groups_alone_are_those_that_are_found_with_the_rest(
    lying: list[list[Extent]],
) -> None:
    tensors = {
        str(number): TensorInfo(str(number), DTYPES["uint8"], (4 * len(runs),), None, tuple(runs))
        for number, runs in enumerate(lying)
    }
    assert tied_groups(tensors) == find_sharing(tensors).groups


def test_tensors_of_one_view_are_tied() -> None:
    one = TensorInfo("a", DTYPES["uint8"], (4,), None, (Extent(ONE, 0, 4),))
    tensors = {"a": one, "b": one._replace(name="b"), "c": one._replace(name="c", shape=(2, 2))}
    assert tied_groups(tensors) == (("a", "b"),)
