from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckpttool.tensors import statistics as moments
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.statistics import Moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAN, INF = float("nan"), float("inf")


def of(array: NDArray[Any], dtype: str | None = None, pieces: int = 1) -> Moments:
    """The moments of an array that is taken in ``pieces`` pieces."""
    found = Moments(DTYPES[dtype or array.dtype.name])
    with np.errstate(all="ignore"):
        for piece in np.array_split(array, pieces):
            found.add(memoryview(piece.tobytes()))
    return found


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("size", [1, 1023, 5000])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_floats_are_what_numpy_says(dtype: str, size: int, pieces: int) -> None:
    array = np.random.default_rng(0).normal(0.3, 2.0, size).astype(dtype)
    found = of(array, pieces=min(pieces, size))
    assert (found.minimum, found.maximum) == (float(array.min()), float(array.max()))
    exact = np.sqrt(np.mean(array.astype(np.float64) ** 2))
    assert found.rms == pytest.approx(exact, rel=1e-6)
    assert (found.nan, found.infinite) == (0, 0)


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [
        ("int64", -(2**63), 2**63 - 1),
        ("int32", -(2**31), 2**31 - 1),
        ("int16", -(2**15), 2**15 - 1),
        ("int8", -128, 127),
        ("uint64", 0, 2**64 - 1),
        ("uint32", 0, 2**32 - 1),
        ("uint16", 0, 2**16 - 1),
        ("uint8", 0, 255),
        ("bool", 0, 1),
    ],
)
def test_integers_are_exact_to_their_limits(dtype: str, low: int, high: int) -> None:
    found = of(np.array([low, 0, high], dtype), dtype)
    assert (found.minimum, found.maximum) == (low, high)
    assert str(found.minimum) == str(low)  # an int, not a rounded float
    assert found.rms == pytest.approx(((low**2 + high**2) / 3) ** 0.5)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "complex64", "complex128"])
def test_what_is_not_finite_is_counted_and_left_out(dtype: str) -> None:
    kind = {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)
    array = np.array([NAN, 3.0, -INF, INF, -4.0, NAN], kind)
    found = of(array, dtype)
    assert (found.nan, found.infinite) == (2, 2)
    assert (found.minimum, found.maximum) == (-4.0, 3.0)
    assert found.rms == pytest.approx((25 / 2) ** 0.5)


@pytest.mark.parametrize("content", [[], [NAN], [INF, -INF]], ids=["empty", "NaN", "infinity"])
def test_without_a_finite_value_there_is_no_statistic(content: list[float]) -> None:
    found = of(np.array(content, np.float32))
    assert (found.minimum, found.maximum, found.rms) == (None, None, None)


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("float32", 3e38),
        ("float32", 1e-38),
        ("float32", 1e-45),
        ("float64", 1e300),
        ("float64", 1e-300),
        ("bfloat16", 3e38),
        ("float8_e8m0fnu", 2.0**127),
    ],
)
def test_squares_neither_overflow_nor_vanish(dtype: str, value: float) -> None:
    if dtype == "bfloat16":
        raw = (np.full(2000, value, "<f4").view("<u4") >> 16).astype("<u2")
    elif dtype == "float8_e8m0fnu":
        raw = np.full(2000, 254, np.uint8)
    else:
        raw = np.full(2000, value, dtype)
    found = of(raw, dtype, pieces=2)
    assert found.minimum == found.maximum
    assert found.rms == pytest.approx(found.maximum, rel=1e-6)


def test_negative_zero_is_zero() -> None:
    found = of(np.array([-0.0, -0.0], np.float32))
    assert [str(found.minimum), str(found.maximum), str(found.rms)] == ["0.0", "0.0", "0.0"]


def test_a_wide_copy_is_made_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(1).normal(size=300).astype(np.float16)
    whole = of(array)
    monkeypatch.setattr(moments, "_WIDENED_AT_ONCE", 64)
    pieces = of(array)
    assert (pieces.minimum, pieces.maximum) == (whole.minimum, whole.maximum)
    assert pieces.rms == pytest.approx(whole.rms)


def test_no_warning_leaks() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        of(np.array([NAN, INF, 3e38, 1e-45], np.float32))
