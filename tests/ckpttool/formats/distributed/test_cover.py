"""Whether parts cover a tensor: grids, walls and irregular cuts; holes and overlaps are found."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.findings import rules
from ckpttool.findings.errors import CkpttoolError, MalformedError, UnsupportedError
from ckpttool.formats.distributed.cover import Box, check_cover


def grid(shape: tuple[int, ...], step: int) -> list[Box]:
    begins = product(*(range(0, length, step) for length in shape))
    return [(at, tuple(min(step, length - one) for one, length in zip(at, shape))) for at in begins]


def refused(shape: tuple[int, ...], parts: list[Box]) -> CkpttoolError:
    with pytest.raises(CkpttoolError) as caught:
        check_cover(shape, parts)
    return caught.value


@pytest.mark.parametrize("shape", [(1,), (7,), (4, 6), (3, 1, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("step", [1, 2, 3, 9])
def test_grids_cover(shape: tuple[int, ...], step: int) -> None:
    check_cover(shape, grid(shape, step)[::-1])


def test_bricks_cover() -> None:
    check_cover((2, 4), [((0, 0), (1, 2)), ((0, 2), (1, 2)), ((1, 0), (1, 1)), ((1, 1), (1, 3))])


@settings(deadline=None)
@given(st.data())
def test_whatever_counts_each_element_once_covers_and_nothing_else(data: Any) -> None:
    shape = (data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4)))
    corner = st.tuples(st.integers(0, 3), st.integers(0, 3))
    sizes = st.tuples(st.integers(1, 4), st.integers(1, 4))
    parts = data.draw(
        st.one_of(st.lists(st.tuples(corner, sizes), max_size=4), st.just(grid(shape, 2)))
    )
    held = [
        (at[0] + row, at[1] + column)
        for at, size in parts
        for row, column in product(range(size[0]), range(size[1]))
    ]
    covers = sorted(held) == sorted(product(range(shape[0]), range(shape[1])))
    try:
        check_cover(shape, parts)
    except MalformedError:
        assert not covers
    else:
        assert covers


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([((0, 0), (2, 3))], "from [0, 3] on"),
        ([((0, 0), (1, 4))], "from [1, 0] on"),
        ([((1, 0), (1, 4))], "from [0, 0] on"),
        ([], "from [0, 0] on"),
        ([((0, 0), (2, 4)), ((0, 0), (2, 4))], "twice"),
        ([((0, 0), (2, 4)), ((1, 1), (1, 1))], "overlap"),
        ([((0, 0), (2, 5))], "outside"),
    ],
)
def test_what_is_wrong_is_said(parts: list[Box], words: str) -> None:
    error = refused((2, 4), parts)
    assert error.rule is rules.DISTRIBUTED_CHUNKS
    assert words in str(error)


def test_a_tensor_of_any_size_costs_no_more() -> None:
    check_cover((2**60, 2**60), [((0, 0), (2**60, 2**60))])


def test_a_cut_that_takes_too_long_is_not_checked() -> None:
    count = 3_000
    stairs: list[Box] = [((at, at), (count - at, 1)) for at in range(count)]
    stairs += [((at, at + 1), (1, count - at - 1)) for at in range(count - 1)]
    assert isinstance(refused((count, count), stairs), UnsupportedError)
