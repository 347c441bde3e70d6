from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.numpy_arrays import float8_table, numbers

torch: Any = pytest.importorskip("torch")

FLOAT8 = ["float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"]


def bits_of(array: Any) -> list[int]:
    """The elements' bits; all NaN count as the same."""
    single = np.asarray(array, np.float32)
    return [int(bits) for bits in np.where(np.isnan(single), np.float32("nan"), single).view("u4")]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_16_bit_float_is_what_torch_says(dtype: str) -> None:
    # In two halves, so that one of them has to do without infinity and NaN.
    for patterns in (np.arange(65536, dtype="<u2"), np.arange(0, 0x7C00, dtype="<u2")):
        mine = numbers(DTYPES[dtype], memoryview(patterns.tobytes()))
        theirs = torch.from_numpy(patterns.view(np.int16)).view(getattr(torch, dtype)).float()
        assert mine is not None
        assert bits_of(mine) == bits_of(theirs.numpy())


@pytest.mark.parametrize("dtype", FLOAT8)
def test_every_8_bit_float_is_what_torch_says(dtype: str) -> None:
    if not hasattr(torch, dtype):
        pytest.skip("this torch does not know the type")
    patterns = torch.arange(256, dtype=torch.uint8).view(getattr(torch, dtype))
    assert bits_of(float8_table(DTYPES[dtype])) == bits_of(patterns.float().numpy())


@pytest.mark.parametrize(
    ("dtype", "bits", "value"),
    [
        ("float8_e4m3fn", 0x38, 1.0),
        ("float8_e4m3fn", 0x7E, 448.0),
        ("float8_e4m3fn", 0x01, 2.0**-9),
        ("float8_e4m3fn", 0xFF, float("nan")),
        ("float8_e5m2", 0x3C, 1.0),
        ("float8_e5m2", 0x7B, 57344.0),
        ("float8_e5m2", 0xFC, float("-inf")),
        ("float8_e5m2", 0x7D, float("nan")),
        ("float8_e4m3fnuz", 0x40, 1.0),
        ("float8_e4m3fnuz", 0x7F, 240.0),
        ("float8_e4m3fnuz", 0x80, float("nan")),
        ("float8_e5m2fnuz", 0x40, 1.0),
        ("float8_e5m2fnuz", 0x7F, 57344.0),
        ("float8_e5m2fnuz", 0x80, float("nan")),
        ("float8_e8m0fnu", 0x7F, 1.0),
        ("float8_e8m0fnu", 0x00, 2.0**-127),
        ("float8_e8m0fnu", 0xFF, float("nan")),
    ],
)
def test_8_bit_floats_follow_their_definitions(dtype: str, bits: int, value: float) -> None:
    np.testing.assert_equal(float(float8_table(DTYPES[dtype])[bits]), value)


@pytest.mark.parametrize("dtype", ["float4_e2m1", "float6_e2m3", "float4_e2m1fn_x2"])
def test_types_below_a_byte_have_no_numbers_here(dtype: str) -> None:
    assert numbers(DTYPES[dtype], memoryview(b"abc")) is None


def test_every_element_type_of_whole_bytes_is_known() -> None:
    unknown = [
        name
        for name, dtype in DTYPES.items()
        if dtype.bits >= 8 and numbers(dtype, memoryview(bytes(16))) is None
    ]
    assert unknown == ["float4_e2m1fn_x2"]
