"""Casting floats to floats: to nearest, ties to even, counting the numbers that are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ckpttool.findings import rules
from ckpttool.findings.errors import UnsupportedError
from ckpttool.tensors.numpy_arrays import numbers, round_to_bfloat16

if TYPE_CHECKING:
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
        infinite, zero = np.isinf(written), written == 0
        # Every infinity and zero survives a cast, so the additional ones are losses.
        overflow = np.count_nonzero(infinite) - np.count_nonzero(np.isinf(values))
        underflow = np.count_nonzero(zero) - np.count_nonzero(values == 0)
    return Losses(int(overflow), int(underflow))
