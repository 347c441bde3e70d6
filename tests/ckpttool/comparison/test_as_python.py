"""What Python itself says of two values after loading them, for many that are made at random."""

from __future__ import annotations

import pickle
from random import Random
from typing import Any

import pytest

from ckpttool.comparison.beside import Entries, compare_beside
from ckpttool.formats.pickles import parse
from tests.builders.random_values import alike, changed, value

PAIRS = 60


def _verdict(*pickled: bytes) -> str:
    left, right = (Entries(None, [("k", parse(data).root)]) for data in pickled)
    found = compare_beside(left, right)
    return "different" if found.state else "cannot tell" if found.doubts else "same"


def _pairs(seed: int) -> Any:
    """Yield what two values are pickled as, in any two protocols."""
    random = Random(seed)  # noqa: S311
    for _ in range(PAIRS):
        one = value(random)
        try:
            yield [pickle.dumps(of, random.randrange(6)) for of in (one, changed(random, one))]
        except (pickle.PicklingError, TypeError):  # slots and slices in old protocols
            continue


@pytest.mark.parametrize("seed", range(8))
def test_no_pair_is_the_same_or_different_against_python(seed: int) -> None:
    told = {True: 0, False: 0}
    for pickled in _pairs(seed):
        same = alike(*map(pickle.loads, pickled))
        verdict = _verdict(*pickled)
        assert verdict != ("different" if same else "same"), pickled
        told[same] += verdict == ("same" if same else "different")
    assert min(told.values()) >= 10
    assert sum(told.values()) > 0.8 * PAIRS
