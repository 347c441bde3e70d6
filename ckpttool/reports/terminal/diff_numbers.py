"""The numbers of a change as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckpttool.findings.text import count

if TYPE_CHECKING:
    from ckpttool.comparison.result import Change, Element, Largest


# Significant digits of values: for reading; to tell any two float32 apart; any two float64.
_DIGITS = (6, 9, 17)


def lines_of(change: Change) -> list[str]:
    """Return the numbers of one tensor in a few lines."""
    lines = [", ".join(_extent(change))]
    lines += _largest("largest difference", change.max_abs)
    lines += _largest("largest relative difference", change.max_rel)
    if change.max_ulp is not None:
        lines[-1] += f"; {change.max_ulp:,} ULP"
    odd = ", ".join(_odd(change))
    return [*lines, odd] if odd else lines


def _extent(change: Change) -> list[str]:
    share = percent(change.changed / max(change.elements, 1))
    told = [f"{change.changed:,} of {change.elements:,} elements ({share})"]
    if change.outside is not None:
        told.append(f"{change.outside:,} outside of the tolerance")
    if change.rms is not None:
        told.append(f"RMS {change.rms:.3g}")
        if change.relative_rms is not None:
            told[-1] += f" ({percent(change.relative_rms)} of the values')"
    if change.cosine is not None:
        told.append(f"cosine {change.cosine:.7g}")
    if change.norm_change is not None:
        told.append(f"norm {100 * change.norm_change:+.3g} %")
    return told


def percent(share: float) -> str:
    """Return a share in percent; 0 and 100 stand for nothing and all, never for a rounded share."""
    if share in (0.0, 1.0):
        return f"{100 * share:.0f} %"
    # what .2f would not round to 0.00 or 100.00; a change can be larger than the values
    if 0.00005 <= share < 0.99995 or share > 1.0:
        return f"{100 * share:.3g} %" if share < 0.1 or share > 1.0 else f"{100 * share:.2f} %"
    return "< 0.01 %" if share < 0.5 else "> 99.99 %"


def _largest(label: str, largest: Largest | None) -> list[str]:
    if largest is None or not largest.value:
        return []
    left, right = _apart(largest.left, largest.right)
    return [f"{label} {_number(largest.value)} at {list(largest.at)}: {left} -> {right}"]


def _apart(left: Element, right: Element) -> tuple[str, str]:
    """Return two values with as many digits as it takes to see that they differ."""
    for digits in _DIGITS:
        told = _number(left, digits), _number(right, digits)
        if told[0] != told[1]:
            break
    return told


def _number(value: Element, digits: int = 6) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, complex) or math.isfinite(value):
        return f"{value:.{digits}g}"
    return str(value)


def _odd(change: Change) -> list[str]:
    told = []
    for word, vanishing, appearing in (
        ("NaN", change.nan_left, change.nan_right),
        ("infinity", change.infinite_left, change.infinite_right),
    ):
        if appearing:
            told.append(f"{word} appears in {count(appearing, 'element')}")
        if vanishing:
            told.append(f"{word} vanishes from {count(vanishing, 'element')}")
    return told
