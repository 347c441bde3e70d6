from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from ckpttool.findings.errors import UnsupportedError
from ckpttool.formats.writing.casting import Losses, cast
from ckpttool.tensors.dtypes import DTYPES
from ckpttool.tensors.numpy_arrays import numbers

FLOATS = ["float64", "float32", "float16", "bfloat16"]
CODES = {"float64": "<u8", "float32": "<u4", "float16": "<u2", "bfloat16": "<u2"}
# explicit mantissa bits, smallest exponent of a normal number, largest
SHAPES = {"float32": (23, -126, 127), "float16": (10, -14, 15), "bfloat16": (7, -126, 127)}


def converted(source: str, target: str, bits: list[int]) -> tuple[list[int], Losses]:
    """The bits after a cast, and its losses."""
    data = np.array(bits, CODES[source]).tobytes()
    out = bytearray(len(bits) * DTYPES[target].itemsize)
    losses = cast(DTYPES[source], DTYPES[target], memoryview(data), memoryview(out))
    return np.frombuffer(out, CODES[target]).tolist(), losses


def value_of(dtype: str, bits: int) -> float:
    """One element as a number."""
    found = numbers(DTYPES[dtype], memoryview(np.array([bits], CODES[dtype]).tobytes()))
    assert found is not None
    return float(found[0])


def nearest(value: float, dtype: str) -> float:
    """The nearest number of ``dtype``, ties to even, by exact arithmetic."""
    mantissa, lowest, highest = SHAPES[dtype]
    if value == 0 or not math.isfinite(value):
        return value
    exponent = max(math.frexp(value)[1] - 1, lowest)
    step = Fraction(2) ** (exponent - mantissa)
    rounded = round(Fraction(value) / step) * step  # round() is to even
    if abs(rounded) >= Fraction(2) ** (highest + 1):
        return math.copysign(math.inf, value)
    return math.copysign(float(rounded), value)


def any_bits(dtype: str) -> st.SearchStrategy[int]:
    """Any bits, with those that are half way between two short numbers likely."""
    width = DTYPES[dtype].bits
    halves = st.builds(
        lambda top, low: ((top << (width // 2)) + low) % 2**width,
        st.integers(0, 2 ** (width // 2) - 1),
        st.sampled_from([0, 1, -1, 2 ** (width // 2 - 1), 2 ** (width // 2 - 1) + 1]),
    )
    return st.one_of(st.integers(0, 2**width - 1), halves)


def same(one: float, other: float) -> bool:
    """Whether two numbers are the same, sign of zero included; any NaN is one."""
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return one == other and math.copysign(1, one) == math.copysign(1, other)


@pytest.mark.parametrize("target", sorted(SHAPES))
@given(bits=any_bits("float64"))
@example(bits=0x3FF0100000000001)  # just above half way: rounding twice would go down
@example(bits=0x3FF0080000000001)
@example(bits=0x36A0000000000000)  # half of float32's smallest subnormal
@example(bits=0x47EFFFFFF0000000)  # half way to what float32 has no number for
@example(bits=0x40EFFE0000000000)  # likewise float16
@example(bits=0x7FF0000000000001)  # a NaN whose upper half is that of an infinity
def test_a_double_is_rounded_once(target: str, bits: int) -> None:
    found, _ = converted("float64", target, [bits])
    value = struct.unpack("<d", struct.pack("<Q", bits))[0]
    assert same(value_of(target, found[0]), nearest(value, target))


@pytest.mark.parametrize("target", ["float16", "bfloat16"])
@given(bits=any_bits("float32"))
@example(bits=0x7F800001)  # a NaN that shortening alone would make an infinity
@example(bits=0xFFFFFFFF)  # a NaN that a carry would make a zero
@example(bits=0x3F808000)  # half way, down to even
@example(bits=0x3F818000)  # half way, up to even
def test_a_float_is_rounded_as_torch_does(target: str, bits: int) -> None:
    found, _ = converted("float32", target, [bits])
    tensor = torch.from_numpy(np.array([bits], np.uint32).view(np.float32).copy())
    expected = tensor.to(getattr(torch, target))
    ours = value_of(target, found[0])
    assert same(ours, float(expected))
    assert same(ours, nearest(float(tensor), target))
    if not math.isnan(ours):
        assert found == [int(expected.view(torch.int16).item()) & 0xFFFF]


@pytest.mark.parametrize(
    ("source", "target"), [("float16", "bfloat16"), ("bfloat16", "float16"), ("float16", "float32")]
)
def test_every_half_is_cast_as_torch_does(source: str, target: str) -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    found, _ = converted(source, target, bits.tolist())
    tensor = torch.from_numpy(bits.view(np.int16).copy()).view(getattr(torch, source))
    expected = tensor.to(getattr(torch, target))
    width = torch.int32 if target == "float32" else torch.int16
    theirs = expected.view(width).numpy().view(CODES[target])
    nan = torch.isnan(expected).numpy()
    ours = np.array(found, CODES[target])
    np.testing.assert_array_equal(ours[~nan], theirs[~nan])
    widened = numbers(DTYPES[target], memoryview(ours.tobytes()))
    assert widened is not None
    assert np.isnan(widened[nan]).all()


@pytest.mark.parametrize("source", FLOATS)
@pytest.mark.parametrize("target", ["float32", "float64"])
def test_widening_loses_nothing(source: str, target: str) -> None:
    if DTYPES[source].bits > DTYPES[target].bits:
        pytest.skip("this is no widening")
    bits, losses = converted("float32", source, [0x3F800000, 0xC0490000, 0x7F800000, 0x80000000])
    wide, _ = converted(source, target, bits)
    assert [value_of(target, one) for one in wide] == [value_of(source, one) for one in bits]
    assert losses == Losses(0, 0)


def test_float8_widens_through_its_table() -> None:
    out = bytearray(6)
    data = memoryview(bytes([0x00, 0x38, 0x7F]))  # 0, 1 and NaN of float8_e4m3fn
    cast(DTYPES["float8_e4m3fn"], DTYPES["bfloat16"], data, memoryview(out))
    assert out[:4] == b"\0\0\x80\x3f"
    assert math.isnan(value_of("bfloat16", int.from_bytes(out[4:], "little")))


LOSSES: list[Any] = [
    pytest.param(
        "float32", "float16", [70000.0, -1e30, math.inf, math.nan, 1.0], (2, 0), id="over"
    ),
    pytest.param("float32", "float16", [1e-30, -1e-8, 0.0, -0.0, 6e-8], (0, 2), id="under"),
    pytest.param("float32", "float16", [65519.0, 65520.0], (1, 0), id="the edge of float16"),
    pytest.param("float64", "float32", [1e300, 1e-300, 0.0, math.inf], (1, 1), id="doubles"),
    pytest.param("float64", "bfloat16", [1e300, 1e-300, 3.4e38, 1e-40], (2, 1), id="brain floats"),
    pytest.param("float32", "bfloat16", [3.3961776e38, 1e-45, 1.0], (1, 1), id="short, same range"),
]


@pytest.mark.parametrize(("source", "target", "values", "expected"), LOSSES)
def test_what_a_cast_loses_is_counted(
    source: str, target: str, values: list[float], expected: tuple[int, int]
) -> None:
    array = np.array(values, "<f8" if source == "float64" else "<f4")
    out = bytearray(len(values) * DTYPES[target].itemsize)
    losses = cast(
        DTYPES[source], DTYPES[target], memoryview(array.tobytes()).cast("B"), memoryview(out)
    )
    assert losses == Losses(*expected)


@pytest.mark.parametrize(
    ("source", "target"),
    [("int32", "float16"), ("float32", "int32"), ("float4_e2m1", "float32"), ("bool", "float32")],
)
def test_other_types_are_not_cast(source: str, target: str) -> None:
    with pytest.raises(UnsupportedError):
        cast(DTYPES[source], DTYPES[target], memoryview(bytes(8)), memoryview(bytearray(64)))
