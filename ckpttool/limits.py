"""What the checks tolerate: the numbers that a project may set for itself."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Thresholds of checks on numbers.

    Attributes:
        position_table: largest absolute error of a position table. It is computed in float64
            and stored in float32: a rounding of 6e-8, and what another sine differs by.
    """

    position_table: float = 1e-6
