"""Texts and numbers as the pages show them."""

from __future__ import annotations

import math
from typing import Sequence

from ckpttool.findings.text import printable

#: Characters of a name; a hostile file may have names of megabytes.
NAME = 300

#: Colours of pictures where the style sheet is not applied: servers may forbid it, as Jenkins does.
FIRST, SECOND, PAPER = "#31688e", "#c2410c", "#fff"


class Drawn(str):
    """Markup that was made here, and that a template must not escape again."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def name(text: str) -> str:
    """Return a name from a file, safe to show. The template escapes it for HTML."""
    return printable(text, NAME)


def number(value: float | None, digits: int = 3) -> str:
    """Return a number for a table; nothing for one that is not known."""
    if value is None:
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return _plain_exponent(f"{value:.{digits}g}")


def whole(value: int | None) -> str:
    """Return a count with separators; nothing for one that is not known."""
    return "" if value is None else f"{value:,}"


def parameters(value: int) -> str:
    """Return a number of parameters in a few characters: ``303.3 M``."""
    for limit, unit in ((10**9, "B"), (10**6, "M")):
        if value >= limit:
            return f"{value / limit:,.1f} {unit}"
    return f"{value:,}"


def shape(sizes: Sequence[int]) -> str:
    """Return a shape: ``1024 x 768``."""
    return " x ".join(f"{size}" for size in sizes) or "scalar"


def _plain_exponent(text: str) -> str:
    # 1e-05 is as long as it is odd: 1e-5
    mantissa, exponent, power = text.partition("e")
    return f"{mantissa}e{int(power)}" if exponent else text
