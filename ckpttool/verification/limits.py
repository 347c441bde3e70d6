"""What the checks tolerate: the numbers that a project may set for itself."""

from __future__ import annotations

from typing import NamedTuple


class Thresholds(NamedTuple):
    """Thresholds of checks on numbers.

    Attributes:
        position_table: largest absolute error of a position table. It is computed in float64
            and stored in float32: a rounding of 6e-8, and what another sine differs by.
        magnitude: how many robust deviations a tensor's magnitude may be from the median of
            its role over the blocks; see ``ckpttool.verification.checks.siblings``.
        wasted_share: the part of the tensors' bytes that storages may hold beside them.
    """

    position_table: float = 1e-6
    magnitude: float = 10.0
    wasted_share: float = 0.01
