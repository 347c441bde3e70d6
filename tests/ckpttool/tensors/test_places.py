"""Where something lies: in bytes of a file, and in a tensor."""

from __future__ import annotations

import numpy as np
import pytest

from ckpttool.tensors.catalogue import Extent
from ckpttool.tensors.places import first_index, tensors_in
from tests.builders.tensors import from_array


def test_the_first_index_is_that_of_rows_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.zeros((3, 4, 5), np.float32)
    array[1, 2, 3] = array[2, 0, 0] = np.nan
    array[0, 3, 4] = np.inf
    assert first_index(from_array(array), np.isnan) == (1, 2, 3)
    assert first_index(from_array(array), np.isinf) == (0, 3, 4)
    # whatever is read at once
    monkeypatch.setattr("ckpttool.tensors.places.CHUNK", 16)
    assert first_index(from_array(array), np.isnan) == (1, 2, 3)


def test_what_is_nowhere_has_no_index() -> None:
    for shape in ((2, 3), (0,), ()):
        assert first_index(from_array(np.zeros(shape, np.float32)), np.isnan) is None


def test_a_single_number_has_an_index_without_axes() -> None:
    assert first_index(from_array(np.array(np.nan, np.float32)), np.isnan) == ()


def test_of_a_complex_number_either_part_counts() -> None:
    array = np.zeros((2, 2), np.complex64)
    array[1, 0] = complex(0, np.nan)
    assert first_index(from_array(array), np.isnan) == (1, 0)


def test_tensors_are_found_by_the_bytes_that_they_share_with_an_extent() -> None:
    one = from_array(np.arange(4, dtype=np.float32))
    other = from_array(np.arange(4, dtype=np.float32))
    (whole,) = one.extents
    first = Extent(whole.source, whole.offset, 8)
    second = Extent(whole.source, whole.offset + 8, 8)
    part = one._replace(shape=(2,), extents=(second,))
    found = tensors_in({"a": one, "b": other, "c": part}, [second, first])
    assert found == {first: ["a"], second: ["a", "c"]}
    assert tensors_in({"a": one}, []) == {}
