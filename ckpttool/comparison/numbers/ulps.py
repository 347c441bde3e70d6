"""The place of a number among all numbers of its type: ULP distances are differences of places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.dtypes import DType


def bits_of(dtype: DType, raw: memoryview) -> NDArray[Any]:
    """Return the bits of real elements, or of the parts of complex ones, as unsigned integers."""
    return np.frombuffer(raw, f"<u{dtype.part_bits // 8}")


def most_ulps(
    dtype: DType, raw: tuple[memoryview, memoryview], odd: NDArray[np.bool_] | None
) -> int:
    """Return the largest distance in ULPs of floats, at least one, leaving out those ``odd``."""
    left, right = (bits_of(dtype, data) for data in raw)
    found = distances(left, right, signed=dtype.signed)
    if odd is not None:
        found[odd] = 0
    return int(found.max())


def distances(left: NDArray[Any], right: NDArray[Any], *, signed: bool = True) -> NDArray[Any]:
    """Return the distances in ULPs, unsigned, of numbers given by their bits (unsigned).

    +0 and -0 have the same place.
    """
    one, other = (places_of(bits) if signed else bits for bits in (left, right))
    # As unsigned integers: places of opposite sign may be further apart than a signed one holds,
    # and the subtraction is right modulo 2 ** width.
    high: NDArray[Any] = np.maximum(one, other).view(left.dtype)
    high -= np.minimum(one, other).view(left.dtype)
    return high


def places_of(bits: NDArray[Any]) -> NDArray[Any]:
    """Return integers of the same width that count the numbers of a signed type in their order.

    ``bits`` are those of the numbers as unsigned integers, of any shape.
    """
    width = 8 * bits.itemsize
    signed = bits.view(f"<i{bits.itemsize}")
    # All ones for a negative number: inverting the bits and subtracting -1 negates.
    turn = signed >> signed.dtype.type(width - 1)
    places: NDArray[Any] = signed & signed.dtype.type((1 << (width - 1)) - 1)
    places ^= turn
    places -= turn
    return places
