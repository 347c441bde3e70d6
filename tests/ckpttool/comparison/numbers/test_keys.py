"""Picking by keys gives what looking at every key gives."""

from __future__ import annotations

from typing import Any, List

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpttool.comparison.numbers import keys
from ckpttool.comparison.numbers.keys import Keys

QUICK = settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
#: Few values, so that there are ties, and stretches with none, some and all of them picked.
FLOATS = st.lists(st.sampled_from([0.0, 1.0, 2.5, 3.0, float("nan")]), min_size=1, max_size=90)
STEPS = st.lists(st.sampled_from([0, 1, 7, 8, 2**31, 2**32 - 1]), min_size=1, max_size=90)


@pytest.fixture(params=[(1, 1, 1), (1, 100, 1), (8, 2, 100), (100, 1, 100)])
def _small(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches of four keys, and every way of looking for places."""
    monkeypatch.setattr(keys, "_STRETCH", 4)
    for name, value in zip(("_FEW", "_RARE", "_PART"), request.param):
        monkeypatch.setattr(keys, name, value)


def found(some: Keys, least: float) -> List[int]:
    return [place for part in some.places(least) for place in part.tolist()]


@QUICK
@given(values=FLOATS, least=st.sampled_from([0.0, 0.5, 1.0, 2.5, 3.0, 4.0, float("nan")]))
@pytest.mark.usefixtures("_small")
def test_places_are_those_of_all_large_keys_in_order(values: List[float], least: float) -> None:
    expected = [place for place, value in enumerate(values) if value >= least]
    assert found(Keys(np.array(values, np.float32)), least) == expected


@QUICK
@given(values=STEPS, bound=st.sampled_from([0, 1, 2, 8, 2**31, 2**32 - 1]))
@pytest.mark.usefixtures("_small")
def test_integers_are_told_from_each_other(values: List[int], bound: int) -> None:
    some = Keys(np.array(values, np.uint32))
    assert some.most == max(values)
    assert found(some, bound) == [place for place, value in enumerate(values) if value >= bound]
    assert some.most_below(bound) == max([value for value in values if value < bound] or [0])
    every = np.arange(len(values))
    assert some.at_least(bound, every).tolist() == found(some, bound)


def test_the_largest_is_no_nan_unless_all_are() -> None:
    nan = float("nan")
    assert Keys(np.array([nan, 2, nan, 1], np.float32)).most == 2
    assert np.isnan(Keys(np.array([nan], np.float32)).most)


def test_no_more_places_are_given_at_once_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_PART", 3)
    parts = [part.tolist() for part in Keys(np.ones(8, np.float32)).places(1)]
    assert parts == [[0, 1, 2], [3, 4, 5], [6, 7]]
