"""The place of a number among all numbers of its type: ULP distances are differences of places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors import DType

# A bare exponent: no sign bit.
_UNSIGNED = "float8_e8m0fnu"


def bits_of(dtype: DType, raw: memoryview) -> NDArray[Any]:
    """Return the bits of real elements, or of the parts of complex ones, as unsigned integers."""
    width = dtype.itemsize // (2 if dtype.kind == "complex" else 1)
    return np.frombuffer(raw, f"<u{width}")


def most_ulps(
    dtype: DType, raw: tuple[memoryview, memoryview], finite: NDArray[Any] | None
) -> int | None:
    """Return the largest distance in ULPs of the pairs, of complex numbers that of their parts.

    +0 and -0 are in the same place. ``finite`` says which pairs count, ``None`` for all;
    without one that counts the result is ``None``.
    """
    left, right = (bits_of(dtype, data) for data in raw)
    found = distances(left, right, signed=dtype.name != _UNSIGNED)
    if finite is not None:
        found = found[np.repeat(finite, len(found) // len(finite))]
    return int(found.max()) if len(found) else None


def distances(left: NDArray[Any], right: NDArray[Any], *, signed: bool = True) -> NDArray[Any]:
    """Return the distances in ULPs (uint64) of numbers given by their bits."""
    one, other = _places(left, signed), _places(right, signed)
    # modulo 2 ** 64, which is right for a difference that is not negative
    high: NDArray[Any] = np.maximum(one, other).view(np.uint64)
    high -= np.minimum(one, other).view(np.uint64)
    return high


def _places(bits: NDArray[Any], signed: bool) -> NDArray[Any]:
    """Return int64 that are ordered and spaced as the numbers of the type are."""
    if not signed:
        return bits.astype(np.int64)
    sign = bits.dtype.type(1 << (8 * bits.itemsize - 1))
    magnitude = (bits & ~sign).astype(np.int64)
    places: NDArray[Any] = np.where(bits & sign, -magnitude, magnitude)
    return places
