"""Element types as numbers: bytes in, an array that numpy can compute with out.

numpy knows neither bfloat16 nor the 8-bit floats. Every one of them is exactly a float32, so
they are widened: bfloat16 by a shift, the 8-bit types through a table of their 256 values.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.dtypes import DType

# The types that numpy reads as they are. A complex number is its two parts.
_NATIVE = {
    "float64": "<f8",
    "float32": "<f4",
    "int64": "<i8",
    "int32": "<i4",
    "int16": "<i2",
    "int8": "i1",
    "uint64": "<u8",
    "uint32": "<u4",
    "uint16": "<u2",
    "uint8": "u1",
    "bool": "u1",
    "complex128": "<f8",
    "complex64": "<f4",
}


class Float8(NamedTuple):
    """An 8-bit float of a sign, ``8 - 1 - mantissa`` exponent bits and ``mantissa`` bits.

    ``special`` says what is not a number: ``ieee`` (the highest exponent holds infinity and
    NaN), ``fn`` (only all ones is NaN, no infinity) or ``fnuz`` (0x80 is NaN, no infinity,
    no negative zero).
    """

    mantissa: int
    bias: int
    special: str


# E4M3 and E5M2: "FP8 Formats for Deep Learning", arXiv:2209.05433, and the OCP 8-bit
# floating point specification; fnuz: arXiv:2206.02915.
_FLOAT8 = {
    "float8_e4m3fn": Float8(3, 7, "fn"),
    "float8_e5m2": Float8(2, 15, "ieee"),
    "float8_e4m3fnuz": Float8(3, 8, "fnuz"),
    "float8_e5m2fnuz": Float8(2, 16, "fnuz"),
}

#: Explicit mantissa bits: the spacing of the numbers just above 1 is ``2 ** -bits``.
MANTISSA_BITS = {
    "float64": 52,
    "float32": 23,
    "float16": 10,
    "bfloat16": 7,
    **{name: layout.mantissa for name, layout in _FLOAT8.items()},
}


def numbers(
    dtype: DType, raw: memoryview, out: NDArray[np.float32] | None = None
) -> NDArray[Any] | None:
    """Return the elements in ``raw`` (little-endian) as a one-dimensional array.

    Floats come as float32 or float64, integers in their own width, bools as uint8, complex
    numbers as their parts, real before imaginary. ``None`` for types without a table here
    (the 4- and 6-bit floats). Native types share memory with ``raw``; what is widened goes into
    ``out``, if that is given: as many float32.
    """
    native = _NATIVE.get(dtype.name)
    if native is not None:
        return np.frombuffer(raw, native)
    widen = _WIDEN.get(dtype.name)
    if widen is None:
        return None
    return widen(raw, np.empty(len(raw) // dtype.itemsize, np.float32) if out is None else out)


def _from_bfloat16(raw: memoryview, out: NDArray[np.float32]) -> NDArray[np.float32]:
    # A bfloat16 is the upper half of a float32.
    np.left_shift(np.frombuffer(raw, "<u2"), 16, out=out.view(np.uint32), dtype=np.uint32)
    return out


def _from_float16(raw: memoryview, out: NDArray[np.float32]) -> NDArray[np.float32]:
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
    return out


@lru_cache(maxsize=None)
def float8_table(name: str) -> NDArray[Any]:
    """Return the 256 values of an 8-bit float as float32, by its bits.

    ``float8_e8m0fnu`` is a bare exponent: ``2 ** (bits - 127)``, 0xff is NaN.
    """
    if name == "float8_e8m0fnu":
        values = [2.0 ** (bits - 127) for bits in range(255)] + [float("nan")]
    else:
        values = [_float8(_FLOAT8[name], bits) for bits in range(256)]
    return np.array(values, np.float32)


def _float8(layout: Float8, bits: int) -> float:
    magnitude = bits & 0x7F
    if layout.special == "fnuz" and bits == 0x80:
        return float("nan")
    if layout.special == "fn" and magnitude == 0x7F:
        return float("nan")
    sign = -1.0 if bits & 0x80 else 1.0
    exponent, fraction = divmod(magnitude, 1 << layout.mantissa)
    if layout.special == "ieee" and exponent == 0x7F >> layout.mantissa:
        return float("nan") if fraction else sign * float("inf")
    if exponent == 0:  # subnormal: no leading one
        return sign * fraction * 2.0 ** (1 - layout.bias - layout.mantissa)
    leading = fraction + (1 << layout.mantissa)
    return float(sign * leading * 2.0 ** (exponent - layout.bias - layout.mantissa))


_Widen = Callable[[memoryview, "NDArray[np.float32]"], "NDArray[np.float32]"]


def _from_table(name: str) -> _Widen:
    def widen(raw: memoryview, out: NDArray[np.float32]) -> NDArray[np.float32]:
        # every index is in the table; to be told so saves take() a copy of out
        np.take(float8_table(name), np.frombuffer(raw, np.uint8), out=out, mode="clip")
        return out

    return widen


_WIDEN: dict[str, _Widen] = {
    "bfloat16": _from_bfloat16,
    "float16": _from_float16,
    "float8_e8m0fnu": _from_table("float8_e8m0fnu"),
    **{name: _from_table(name) for name in _FLOAT8},
}
