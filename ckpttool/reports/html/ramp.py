"""Colours for numbers: viridis, whose steps differ in lightness, so that nobody needs the hues."""

from __future__ import annotations

import math
from typing import Iterable, NamedTuple

#: From the smallest to the largest.
STEPS = (
    "440154", "481a6c", "472f7d", "414487", "39568c", "31688e", "2a788e", "23888e",
    "1f988b", "22a884", "35b779", "54c568", "7ad151", "a5db36", "d2e21b", "fde725",
)  # fmt: skip


class Scale(NamedTuple):
    """How numbers become steps: by their logarithms between the smallest and the largest."""

    low: float
    high: float

    def step(self, value: float) -> int:
        """Return the step of a number above zero."""
        if self.high <= self.low:
            return len(STEPS) // 2
        share = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return min(len(STEPS) - 1, max(0, int(share * len(STEPS))))


def scale_of(values: Iterable[float]) -> Scale | None:
    """Return the scale for numbers; ``None`` if not one of them is above zero and finite."""
    positive = [value for value in values if 0 < value < math.inf]
    return Scale(min(positive), max(positive)) if positive else None


def ink_on(color: str) -> str:
    """Return black or white, whichever is read better on a colour."""
    return "fff" if contrast("ffffff", color) > contrast("000000", color) else "000"


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colours as WCAG defines it, from 1 to 21."""
    high, low = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def rules() -> str:
    """Return the style sheet's rules for the steps: ``.v0`` to ``.v15``."""
    return "".join(
        f".v{at}{{background:#{color};fill:#{color};color:#{ink_on(color)}}}"
        for at, color in enumerate(STEPS)
    )


def _luminance(color: str) -> float:
    parts = (int(color[at : at + 2], 16) / 255 for at in (0, 2, 4))
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
