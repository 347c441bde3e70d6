"""What may differ and still count as equal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Tolerance(NamedTuple):
    """What may differ and still count as equal.

    A pair is equal if ``|a - b| <= absolute + relative * max(|a|, |b|)``: the rule of
    ``numpy.allclose`` with the larger number for the second, so that the sides can be exchanged.
    """

    absolute: float = 0.0
    relative: float = 0.0
    equal_nan: bool = False

    def excludes(self, difference: NDArray[Any], large: NDArray[Any]) -> NDArray[Any]:
        """Return which absolute differences, with their larger numbers, are outside (float64)."""
        outside: NDArray[Any] = difference > self.absolute + self.relative * large
        return outside
