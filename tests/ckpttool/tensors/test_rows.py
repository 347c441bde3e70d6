"""Rows and transposes of a tensor are the bytes that torch gives for the same slices."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ckpttool.tensors.catalogue import TensorInfo
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.rows import can_be_transposed, some_rows, transposed, why_whole
from tests.builders.layouts import tensor
from tests.builders.models import in_memory

MATRIX = torch.arange(24).reshape(6, 4).float()


def info(matrix: torch.Tensor = MATRIX) -> TensorInfo:
    return in_memory({"w": matrix})["w"]


@pytest.mark.parametrize(("start", "stop"), [(0, 2), (2, 4), (4, 6), (0, 6), (3, 3)])
@pytest.mark.parametrize("turned", [False, True], ids=["row by row", "strided"])
def test_rows_are_those_of_torch(start: int, stop: int, turned: bool) -> None:
    whole = transposed(info(MATRIX.T.contiguous()), "w") if turned else info()
    assert (whole.strides is not None) == turned
    part = some_rows(whole, "part", start, stop)
    assert (part.name, part.shape) == ("part", (stop - start, 4))
    np.testing.assert_array_equal(part.numpy(), MATRIX[start:stop])


def test_rows_of_rows_and_of_joined_extents() -> None:
    whole = info()
    first, second = (some_rows(whole, "w", *span) for span in ((0, 2), (2, 6)))
    joined = whole._replace(extents=(*second.extents, *first.extents))
    part = some_rows(joined, "p", 3, 5)  # the last row of the one, and the first of the other
    np.testing.assert_array_equal(part.numpy(), MATRIX[[5, 0]])


def test_a_transpose_of_a_transpose_is_row_major_again() -> None:
    turned = transposed(info(), "t")
    np.testing.assert_array_equal(turned.numpy(), MATRIX.T)
    assert transposed(turned, "w") == info()._replace(extents=turned.extents)


@pytest.mark.parametrize(
    ("shape", "dtype", "parts", "why"),
    [
        pytest.param((6, 4), "float32", 3, None, id="thirds"),
        pytest.param((6,), "float16", 3, None, id="of a vector"),
        pytest.param((0, 4), "float32", 3, None, id="of nothing"),
        pytest.param((7, 4), "float32", 3, "3 equal parts", id="no thirds"),
        pytest.param((), "float32", 3, "3 equal parts", id="of a number"),
        pytest.param((6, 2), "float4_e2m1", 3, None, id="whole bytes of four bits"),
        pytest.param((3, 1), "float4_e2m1", 3, "whole bytes", id="half a byte"),
    ],
)
def test_what_can_be_cut_is_told(
    shape: tuple[int, ...], dtype: str, parts: int, why: str | None
) -> None:
    found = why_whole(tensor("w", shape)._replace(dtype=DTYPES[dtype]), parts)
    assert found is None if why is None else why in str(found)


@pytest.mark.parametrize("shape", [(2,), (2, 2, 2), ()])
def test_only_a_matrix_is_transposed(shape: tuple[int, ...]) -> None:
    assert not can_be_transposed(shape, DTYPES["float32"])
    with pytest.raises(ValueError, match="not a matrix"):
        transposed(tensor("w", shape), "w")
