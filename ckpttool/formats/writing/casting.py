"""Casting floats to floats: to nearest, ties to even, counting the numbers that are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError
from ckpttool.tensors.numpy_arrays import numbers, round_to_bfloat16

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpttool.tensors.dtypes import DType


class Losses(NamedTuple):
    """Finite elements that became infinite, and nonzero elements that became zero."""

    overflow: int
    underflow: int


def cast(source: DType, target: DType, data: memoryview, out: memoryview) -> Losses:
    """Convert the little-endian elements in ``data`` into ``out``; NaN stays NaN.

    Args:
        source: a float type of whole bytes.
        target: a float that is :attr:`~DType.castable`.
        data: whole elements of ``source``.
        out: room for as many elements of ``target``.

    Raises:
        UnsupportedError: for any other types.
    """
    values = numbers(source, data) if source.kind == "float" else None
    if values is None or not target.castable:
        raise UnsupportedError(f"{source.name} cannot be cast to {target.name}", rules.UNSUPPORTED)
    with np.errstate(all="ignore"):  # overflow is counted, so numpy need not warn
        if target.is_cut_float32:
            written = round_to_bfloat16(values)
            np.frombuffer(out, "<u2")[...] = written.view(np.uint32) >> np.uint32(16)
        else:
            written = np.frombuffer(out, f"<{target.numpy}")
            written[...] = values
        (infinite, zero), (infinite_before, zero_before) = _extremes(written), _extremes(values)
    # Every infinity and zero survives a cast, so the additional ones are losses.
    return Losses(infinite - infinite_before, zero - zero_before)


def _extremes(values: NDArray[Any]) -> tuple[int, int]:
    """Return how many elements are infinite, and how many are zero."""
    if values.dtype.itemsize > 2:
        return int(np.count_nonzero(np.isinf(values))), int(np.count_nonzero(values == 0))
    # By the bits without the sign: numpy widens every float16 to look at it, in 20 times the time.
    magnitudes = values.view("<u2") & np.uint16(0x7FFF)
    infinite = np.count_nonzero(magnitudes == np.uint16(0x7C00))
    return int(infinite), len(magnitudes) - int(np.count_nonzero(magnitudes))
