"""What ``diff`` is asked for, and what it tells on the way."""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple, Sequence

from ckpttool.findings.errors import UsageError


class DiffOptions(NamedTuple):
    """What to compare, and what to overlook.

    Attributes:
        atol, rtol: a pair of elements may differ by ``atol + rtol * max(|a|, |b|)``; one that is
            not given is 0. ``None`` for both: nothing is overlooked.
        max_ulp: numbers of the type that may lie between the two, less one.
        equal_nan: whether one NaN is as good as another.
        include, exclude: patterns of names of tensors and of keys beside them.
        workers: threads; ``None`` for one a processor, at most 6.
        weights_only: whether what lies beside the weights is left aside.
        wrappers: dotted keys of the state dicts to take, left and right; ``None`` to choose.
    """

    atol: float | None = None
    rtol: float | None = None
    max_ulp: int | None = None
    equal_nan: bool = False
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    workers: int | None = None
    weights_only: bool = False
    wrappers: tuple[str | None, str | None] = (None, None)

    @property
    def tolerant(self) -> bool:
        """Whether values are held against a tolerance."""
        return self.atol is not None or self.rtol is not None or self.equal_nan

    def check(self) -> None:
        """Refuse tolerances of which any difference, or none, would be within.

        Raises:
            UsageError: a tolerance is not a number, is infinite or negative.
        """
        said = [("--atol", self.atol), ("--rtol", self.rtol), ("--max-ulp", self.max_ulp)]
        for option, value in said:
            if value is not None and not (isfinite(value) and value >= 0):
                raise UsageError(
                    f"{option} is no tolerance",
                    expected="a finite number of at least 0",
                    found=str(value),
                )

    def __str__(self) -> str:
        said = [("--atol", self.atol), ("--rtol", self.rtol), ("--max-ulp", self.max_ulp)]
        words = [f"{option} {value}" for option, value in said if value is not None]
        return " ".join([*words, *["--equal-nan"] * self.equal_nan])


def nothing_left() -> UsageError:
    """Return the error of patterns that leave no tensor."""
    return UsageError("no tensor is left to compare", fix="Look at --include and --exclude.")
