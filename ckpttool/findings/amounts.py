"""How much two tensors differ, in the same words wherever it is said."""

from __future__ import annotations

from typing import Optional, Protocol, Sequence


class Peak(Protocol):
    """The largest difference."""

    @property
    def value(self) -> float:
        """How large it is."""


class Compared(Protocol):
    """What a comparison of two tensors counted: elements, and those NaN or infinite on one side."""

    elements: int
    changed: int
    nan_left: int
    nan_right: int
    infinite_left: int
    infinite_right: int

    @property
    def max_abs(self) -> Optional[Peak]:
        """The largest difference between finite numbers; ``None`` without one."""


def elements_differ(changed: int, elements: int, other: str = "") -> str:
    """Say how many elements differ: ``1 of 589,824 elements differs from A's``."""
    verb = "differs" if changed == 1 else "differ"
    return f"{changed:,} of {elements:,} elements {verb}" + (f" from {other}" if other else "")


def first_at(changed: int, elements: int, other: str, first: Sequence[int]) -> str:
    """Say the same, and where the first of them is."""
    return f"{elements_differ(changed, elements, other)}, the first at {list(first)}"


def values_differ(tally: Compared, other: str, sides: Sequence[str]) -> str:
    """Say the same of two tensors that were compared, by how much at most, and what is NaN.

    Args:
        tally: of the comparison.
        other: what the elements differ from; empty where the reader knows it.
        sides: where the left and the right tensor are: ``in A``, ``in B``.
    """
    text = elements_differ(tally.changed, tally.elements, other)
    peak = tally.max_abs
    if peak is not None and peak.value:  # a sign of zero and the bits of NaN are no number
        text += f", by up to {peak.value:.3g}"
    return "; ".join([text, *_not_finite(tally, sides)])


def _not_finite(found: Compared, sides: Sequence[str]) -> list[str]:
    counted = (
        ("NaN", (found.nan_left, found.nan_right)),
        ("infinite", (found.infinite_left, found.infinite_right)),
    )
    return [
        one_sided(number, word, side)
        for word, numbers in counted
        for number, side in zip(numbers, sides)
        if number
    ]


def one_sided(number: int, word: str, side: str) -> str:
    """Say how many elements are NaN or infinite on one side, and numbers on the other."""
    return f"{number:,} {word} {side} only"
