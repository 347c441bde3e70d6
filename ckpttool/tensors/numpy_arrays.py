"""Bytes of any element type as an array that numpy can compute with.

numpy knows neither bfloat16 nor the 8-bit floats. float32 holds each of their values exactly, so
they are widened: bfloat16 by a shift, the 8-bit types through a table of their 256 values.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.dtypes import DType

# A complex number is its two parts, and a bool is 0 or 1.
_NATIVE = {"float": "f", "complex": "f", "int": "i", "uint": "u", "bool": "u"}


def numbers(
    dtype: DType, raw: memoryview, out: NDArray[np.float32] | None = None
) -> NDArray[Any] | None:
    """Return the elements in ``raw`` (little-endian) as a one-dimensional array.

    Floats come as float32 or float64, integers in their own width, bools as uint8, complex
    numbers as their parts, real before imaginary. ``None`` for types that have no numbers here
    (the 4- and 6-bit floats). Native types share memory with ``raw``; widened ones are written
    to ``out``, if given, which has as many float32.
    """
    if not dtype.has_numbers:
        return None
    if dtype.kind != "float" or dtype.bits >= 32:
        return np.frombuffer(raw, f"<{_NATIVE[dtype.kind]}{dtype.part_bits // 8}")
    if out is None:
        out = np.empty(len(raw) // dtype.itemsize, np.float32)
    if dtype.bits == 8:
        # Every byte is an index of the table; "clip" spares take() the copy of out that "raise"
        # makes.
        np.take(float8_table(dtype), np.frombuffer(raw, np.uint8), out=out, mode="clip")
    elif dtype.is_cut_float32:
        np.left_shift(np.frombuffer(raw, "<u2"), 16, out=out.view(np.uint32), dtype=np.uint32)
    else:
        _widen_float16(raw, out)
    return out


def round_to_bfloat16(values: NDArray[Any]) -> NDArray[np.float32]:
    """Round float32 or float64 to nearest, ties to even, as float32 with an empty lower half.

    By integer arithmetic, which is several times as fast as scaling. NaN stays NaN. A float64 goes
    through a float32 rounded to odd, because rounding to nearest twice can be off by one (Boldo
    and Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
    """
    single = _round_to_odd(values) if values.dtype.itemsize == 8 else values
    bits: NDArray[np.uint32] = single.view(np.uint32)
    # half of the last place that stays, less one where it is even: carries round up
    rounded = bits >> np.uint32(16)
    rounded &= np.uint32(1)
    rounded += np.uint32(0x7FFF)
    rounded += bits
    nan = np.isnan(single)
    if nan.any():  # a carry could make a zero of it, and to cut it an infinity
        rounded[nan] = bits[nan] | np.uint32(0x00400000)
    rounded &= np.uint32(0xFFFF0000)
    return rounded.view(np.float32)


def _round_to_odd(values: NDArray[Any]) -> NDArray[np.float32]:
    """Round float64 toward zero, then set the last bit wherever something was cut off."""
    single: NDArray[np.float32] = values.astype(np.float32)
    back = single.astype(np.float64)
    bits = single.view(np.uint32)
    # The cast rounded to nearest; one unit less in the bits is the next magnitude toward zero.
    bits -= np.abs(back) > np.abs(values)
    bits |= (back != values) & ~np.isnan(values)
    return single


def _widen_float16(raw: memoryview, out: NDArray[np.float32]) -> None:
    """Widen by moving the bits and correcting the bias: 4 x the speed of ``astype``.

    Sign extension puts the sign into the top bit; exponent and mantissa land in their places
    with a bias of 15 instead of 127. The multiplication is exact, subnormals included.
    Infinity and NaN have come out as 65536 and more, which no finite float16 reaches.
    """
    half = np.frombuffer(raw, "<i2")
    bits = out.view(np.int32)
    np.left_shift(half, 13, out=bits, dtype=np.int32)
    bits &= np.int32(-0x70002000)  # 0x8fffe000: sign, 5 exponent bits, 10 mantissa bits
    out *= np.float32(2.0**112)
    if out.size and (out.max() >= 65536 or out.min() <= -65536):
        out[...] = half.view(np.float16)


@lru_cache(maxsize=None)
def float8_table(dtype: DType) -> NDArray[np.float32]:
    """Return the 256 values of an 8-bit float as float32, by its bits."""
    assert dtype.encoding is not None  # noqa: S101 (the caller looked)
    return np.array([dtype.encoding.number(bits) for bits in range(256)], np.float32)
