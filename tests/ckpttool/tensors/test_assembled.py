"""Tensors put together from blocks as they are read: any cut, any range of bytes."""

from __future__ import annotations

from itertools import product
from typing import Any, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.files.sources import MemorySource, read_bytes
from ckpttool.findings.errors import UnreadableError
from ckpttool.tensors.assembled import AssembledSource, Block, extents_below
from ckpttool.tensors.catalogue import Extent


def cut(whole: Any, cuts: Sequence[Sequence[int]], *, turned: bool = False) -> AssembledSource:
    """The array in blocks: along each axis cut before these indices."""
    edges = [[0, *own, length] for own, length in zip(cuts, whole.shape)]
    blocks = []
    for corner in product(*(range(len(own) - 1) for own in edges)):
        begin = tuple(own[at] for own, at in zip(edges, corner))
        end = tuple(own[at + 1] for own, at in zip(edges, corner))
        part = whole[tuple(slice(one, two) for one, two in zip(begin, end))]
        held = np.asfortranarray(part) if turned else np.ascontiguousarray(part)
        strides = tuple(stride // whole.itemsize for stride in held.strides)
        data = b"before" + held.tobytes("A")
        extent = Extent(MemorySource(data, "file"), 6, part.nbytes)
        blocks.append(Block(begin, part.shape, strides, extent))
    return AssembledSource("listing", whole.shape, whole.itemsize, blocks[::-1])


@st.composite
def cases(draw: Any) -> tuple[Any, list[list[int]], bool]:
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    width = draw(st.sampled_from([1, 2, 4, 8, 16]))
    whole = np.arange(np.prod(shape)).reshape(shape).astype("c16" if width == 16 else f"u{width}")
    cuts = [
        sorted(draw(st.sets(st.integers(1, length - 1), max_size=3))) if length > 1 else []
        for length in shape
    ]
    return whole, cuts, draw(st.booleans())


@settings(deadline=None)
@given(cases(), st.data())
def test_any_range_of_any_cut_has_the_bytes_of_the_whole(
    case: tuple[Any, list[list[int]], bool], data: st.DataObject
) -> None:
    whole, cuts, turned = case
    source = cut(whole, cuts, turned=turned)
    expected = whole.tobytes()
    assert source.size == len(expected)
    begin = data.draw(st.integers(0, source.size))
    end = data.draw(st.integers(begin, source.size))
    assert read_bytes(source, begin, end - begin) == expected[begin:end]


def test_a_single_element_is_read() -> None:
    extent = Extent(MemorySource(b"abcd", "file"), 0, 4)
    source = AssembledSource("listing", (), 4, [Block((), (), (), extent)])
    assert read_bytes(source, 0, 4) == b"abcd"


def test_beyond_the_end_there_is_nothing_to_read() -> None:
    source = cut(np.zeros((2, 2), "u1"), [[1], []])
    with pytest.raises(UnreadableError):
        read_bytes(source, 3, 2)


def test_a_large_read_takes_no_read_for_each_row() -> None:
    whole = np.arange(1 << 20, dtype="u4").reshape(-1, 16)
    source = cut(whole, [[], [8]])
    counted: list[int] = []
    for extent in source.extents:
        own: Any = extent.source
        own.read_into = _counting(own.read_into, counted)
    assert read_bytes(source, 0, source.size) == whole.tobytes()
    assert len(counted) <= 4


def _counting(read: Any, counted: list[int]) -> Any:
    def reading(offset: int, out: memoryview) -> None:
        counted.append(len(out))
        read(offset, out)

    return reading


def test_the_extents_of_files_below_are_known() -> None:
    source = cut(np.zeros((2, 2), "u1"), [[1], [1]])
    below = list(extents_below(Extent(source, 0, 4)))
    assert [extent.length for extent in below] == [1, 1, 1, 1]
    assert list(extents_below(below[0])) == below[:1]
