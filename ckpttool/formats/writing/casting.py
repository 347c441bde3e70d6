"""Casting floats to floats: to nearest, ties to even, bit for bit, and what it cost is counted.

numpy rounds correctly between its own types. It has no bfloat16: that is the upper half of a
float32, rounded by integer arithmetic. A float64 goes there through a float32 rounded to odd,
because rounding to nearest twice can be off by one (Boldo and Melquiond, "Emulation of FMA and
correctly rounded sums", 2008).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError
from ckpttool.tensors.numbers import numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.dtypes import DType

#: What elements can be cast to.
TARGETS = {"float64": "<f8", "float32": "<f4", "float16": "<f2", "bfloat16": "<u2"}

_BFLOAT16_QUIET = np.uint16(0x0040)  # the bit that tells a NaN from an infinity, once shortened
_BFLOAT16_MAGNITUDE = np.uint16(0x7FFF)


class Losses(NamedTuple):
    """Finite elements that became infinite, and elements that became zero without being it."""

    overflow: int
    underflow: int


def cast(source: DType, target: DType, data: memoryview, out: memoryview) -> Losses:
    """Convert the little-endian elements in ``data`` into ``out``; NaN stays NaN.

    Args:
        source: a float type of whole bytes.
        target: one of :data:`TARGETS`.
        data: whole elements of ``source``.
        out: room for as many elements of ``target``.

    Raises:
        UnsupportedError: for any other types.
    """
    values = numbers(source, data) if source.kind == "float" else None
    if values is None or target.name not in TARGETS:
        raise UnsupportedError(f"{source.name} cannot be cast to {target.name}", rules.UNSUPPORTED)
    written = np.frombuffer(out, TARGETS[target.name])
    with np.errstate(all="ignore"):  # what overflows is counted, not warned of
        if target.name == "bfloat16":
            _to_bfloat16(values, written)
            magnitude = written & _BFLOAT16_MAGNITUDE
            infinite, zero = magnitude == 0x7F80, magnitude == 0
        else:
            written[...] = values
            infinite, zero = np.isinf(written), written == 0
        overflow = np.count_nonzero(infinite) - np.count_nonzero(np.isinf(values))
        underflow = np.count_nonzero(zero) - np.count_nonzero(values == 0)
    return Losses(int(overflow), int(underflow))


def _to_bfloat16(values: NDArray[Any], out: NDArray[np.uint16]) -> None:
    single = _rounded_to_odd(values) if values.dtype.itemsize == 8 else values
    bits: NDArray[np.uint32] = single.view(np.uint32)
    # half of the last place that stays, less one where it is even: carries round up
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    out[...] = rounded >> np.uint32(16)
    nan = np.isnan(values)
    if nan.any():
        out[nan] = (bits[nan] >> np.uint32(16)).astype(np.uint16) | _BFLOAT16_QUIET


def _rounded_to_odd(values: NDArray[Any]) -> NDArray[np.float32]:
    """Round float64 toward zero, then set the last bit wherever something was cut off."""
    single: NDArray[np.float32] = values.astype(np.float32)
    back = single.astype(np.float64)
    bits = single.view(np.uint32)
    bits -= np.abs(back) > np.abs(values)
    bits |= (back != values) & ~np.isnan(values)
    return single
