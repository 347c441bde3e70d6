"""Histograms count every value once, in the bin that it lies in."""

from __future__ import annotations

from typing import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpttool.statistics import bins
from ckpttool.statistics.bins import (
    BLOCK_BINS,
    NOTHING,
    Edges,
    Sampled,
    bins_for,
    counts_of_each,
    counts_of_rows,
    shared_edges,
)


def sampled(values: Sequence[float], weight: float = 1.0, row: int = 0) -> Sampled:
    array = np.array(values, np.float64)
    return Sampled(array, float(array.min()), float(array.max()), weight, row)


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(st.lists(st.lists(FINITE, min_size=1, max_size=30), min_size=1, max_size=5))
def test_each_value_is_counted_once(content: list[list[float]]) -> None:
    samples = [sampled(values) for values in content]
    for one, counts in zip(samples, counts_of_each(samples, 8)):
        assert sum(counts) == len(one.values)
        assert len(counts) == (1 if one.lo == one.hi else 8)


def test_counts_are_those_of_numpy() -> None:
    random = np.random.default_rng(0)
    samples = [sampled(random.normal(size=size).tolist()) for size in (1000, 1, 3000)]
    found = list(counts_of_each(samples, 32))
    for one, counts in zip(samples, found):
        if len(one.values) > 1:
            assert list(counts) == np.histogram(one.values, 32)[0].tolist()
    assert found[1] == (1,)


@pytest.mark.parametrize("at_once", [1, 700, 1 << 18])
def test_portions_change_nothing(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    samples = [sampled(random.normal(size=500).tolist(), 2.0, row) for row in range(5)]
    edges = shared_edges(samples)
    assert edges is not None
    whole = list(counts_of_each(samples, 16)), counts_of_rows(samples, edges, 5)
    monkeypatch.setattr(bins, "_AT_ONCE", at_once)
    assert (list(counts_of_each(samples, 16)), counts_of_rows(samples, edges, 5)) == whole


def test_a_few_values_far_away_are_counted_beyond_the_edges() -> None:
    near = np.linspace(-1, 1, 100_000)
    edges = shared_edges([sampled([*near, 1e30, -1e30])])
    assert edges is not None
    assert -1 <= edges.lo < -0.99
    assert 0.99 < edges.hi <= 1
    (row,) = counts_of_rows([sampled([*near, 1e30, -1e30])], edges, 1)
    assert sum(row) == 100_002
    assert row[0] >= 1
    assert row[-1] >= 1


def test_edges_are_those_of_elements_and_not_of_values() -> None:
    matrix = sampled(np.linspace(-0.1, 0.1, 4096).tolist(), 1024.0)
    norm = sampled(np.linspace(0.9, 1.1, 1024).tolist())
    edges = shared_edges([matrix, norm])
    assert edges is not None
    assert edges.hi < 0.2


def test_a_value_stands_for_its_weight() -> None:
    two = [sampled([0.0, 1.0], 3.0, 0), sampled([0.0, 1.0], 0.5, 1)]
    first, second = counts_of_rows(two, Edges(0.0, 1.0), 2)
    assert (first[1], first[BLOCK_BINS]) == (3, 3)
    assert sum(first) == 6
    assert sum(second) in (0, 1, 2)  # halves are rounded


def test_constants_have_one_bin() -> None:
    same = [sampled([0.5, 0.5])]
    assert shared_edges(same) == Edges(0.5, 0.5)
    assert counts_of_rows(same, Edges(0.5, 0.5), 1) == [[0, 2, 0]]


def test_without_values_there_are_no_edges() -> None:
    assert shared_edges([]) is None
    assert shared_edges([NOTHING]) is None
    assert list(counts_of_each([NOTHING], 8)) == [(0,)]


def test_very_many_tensors_have_fewer_bins() -> None:
    assert bins_for(294) == 32
    assert bins_for(100_000) == 10
    assert bins_for(1_000_000) == 8
