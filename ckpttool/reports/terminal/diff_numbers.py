"""The numbers of a change as text, for people: few digits, and nothing that means nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckpttool.comparison.result import Change, Element, Largest

# Significant digits of values: for reading; to tell float16, float32 and float64 apart.
_DIGITS = (4, 6, 9, 17)
# A share of changed elements below this is told as their number, if that is short.
_FEW, _SHORT = 0.01, 10_000
# A share above this would be rounded to 100 %.
_NEARLY_ALL = 0.995
# Shares in percent that are smaller are not told apart.
_LEAST = 1e-7
# A distance in ULPs tells of roundings if it is a few, or if the difference is tiny.
_ROUNDINGS, _MOST_ULPS, _TINY = 4, 1000, 1e-3


def percent(share: float) -> str:
    """Return a share in percent; 0 and 100 stand for nothing and all, never for a rounded share."""
    if share in (0.0, 1.0):
        return f"{100 * share:.0f} %"
    # what .2f would not round to 0.00 or 100.00
    if 0.00005 <= share < 0.99995:
        return f"{100 * share:.3g} %" if share < 0.1 else f"{100 * share:.2f} %"
    return "< 0.01 %" if share < 0.5 else "> 99.99 %"


def relative(share: float) -> str:
    """Return a relative change in percent, with two digits: ``4.4 %``, ``0.00012 %``."""
    if not share:
        return "0 %"
    if share < _LEAST:
        return f"< {100 * _LEAST:.5f} %"
    if share >= 0.095:  # two digits and more before the point
        return f"{100 * share:.0f} %"
    digits = 1 - math.floor(math.log10(100 * share))
    return f"{100 * share:.{digits}f} %"


def elements(changed: int, total: int) -> str:
    """Return how many elements changed: ``all``, a share, or their number where it is small."""
    if changed == total:
        return "all"
    share = changed / max(total, 1)
    if changed < _SHORT and share < _FEW:
        return f"{changed:,}"
    return f"{100 * share:.3g} %" if share < _NEARLY_ALL else percent(share)


def largest(change: Change) -> str:
    """Return the largest difference, in ULPs too where they tell something."""
    peak = change.max_abs
    if peak is None:
        return ""
    if not peak.value:
        # signs of zero, or the bits of NaN
        return "" if change.odd else "bits only"
    told = number(peak.value, 3)
    ulps = change.max_ulp
    if ulps is None or not is_rounding(change):
        return told
    return f"{told} ({ulps:,} ULP)"


def is_rounding(change: Change) -> bool:
    """Whether the distance in ULPs tells something: a few of them, or tiny differences."""
    if not change.max_ulp:
        return False
    tiny = change.max_rel is not None and change.max_rel.value < _TINY
    return change.max_ulp <= _ROUNDINGS or (tiny and change.max_ulp < _MOST_ULPS)


def place(peak: Largest | None) -> str:
    """Return where the largest difference is, and both values."""
    if peak is None or not peak.value:
        return ""
    left, right = _apart(peak.left, peak.right)
    return f"{left} -> {right} at {list(peak.at)}"


def _apart(left: Element, right: Element) -> tuple[str, str]:
    """Return two values with as many digits as it takes to see that they differ."""
    for digits in _DIGITS:
        told = number(left, digits), number(right, digits)
        if told[0] != told[1]:
            break
    return told


def number(value: Element, digits: int = 6) -> str:
    """Return a value with as many significant digits."""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, complex) or math.isfinite(value):
        return f"{value:.{digits}g}"
    return str(value)
