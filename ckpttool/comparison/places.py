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
    left, right = (_places(dtype, bits_of(dtype, data)) for data in raw)
    # modulo 2 ** 64, which is right for a difference that is not negative
    distances = np.maximum(left, right).view(np.uint64) - np.minimum(left, right).view(np.uint64)
    if finite is not None:
        distances = distances[np.repeat(finite, len(distances) // len(finite))]
    return int(distances.max()) if len(distances) else None


def _places(dtype: DType, bits: NDArray[Any]) -> NDArray[Any]:
    """Return int64 that are ordered and spaced as the numbers of the type are."""
    if dtype.name == _UNSIGNED:
        return bits.astype(np.int64)
    sign = bits.dtype.type(1 << (8 * bits.itemsize - 1))
    magnitude = (bits & ~sign).astype(np.int64)
    places: NDArray[Any] = np.where(bits & sign, -magnitude, magnitude)
    return places
