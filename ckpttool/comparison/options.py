"""The options of ``diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Sequence

from ckpttool.comparison.given import check as check_given
from ckpttool.findings.arguments import (
    check_executor,
    check_flags,
    check_number,
    check_text,
    check_workers,
)
from ckpttool.findings.errors import UsageError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.comparison.given import Given
    from ckpttool.models.pictures.images import Photo


class DiffOptions(NamedTuple):
    """The arguments of :func:`ckpttool.diff`; ``given`` is its ``map``, ``images`` are read."""

    atol: float | None = None
    rtol: float | None = None
    max_ulp: int | None = None
    equal_nan: bool = False
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    workers: int | None = None
    executor: Executor | None = None
    weights_only: bool = False
    wrappers: tuple[str | None, str | None] = (None, None)
    given: Given = ()
    images: tuple[Photo, ...] = ()
    stats: bool = False

    @property
    def tolerant(self) -> bool:
        """Whether values are compared with a tolerance."""
        # equal_nan is one too: with it, NaN of different bits are equal and bytes do not decide.
        return self.atol is not None or self.rtol is not None or self.equal_nan

    def check(self) -> None:
        """Check types and ranges.

        Raises:
            UsageError: a tolerance is no finite number of at least 0, or a type is wrong.
        """
        # An infinite tolerance would call any two files the same, NaN none.
        check_number(self.atol, 0, "atol")
        check_number(self.rtol, 0, "rtol")
        check_number(self.max_ulp, 0, "max_ulp", whole=True)
        check_workers(self.workers)
        check_executor(self.executor)
        check_flags(
            {
                "equal_nan": self.equal_nan,
                "weights_only": self.weights_only,
                "stats": self.stats,
            }
        )
        for what, wrapper in zip(("left_wrapper", "right_wrapper"), self.wrappers):
            check_text(wrapper, what)
        check_given(self.given)

    def __str__(self) -> str:
        said = [("--atol", self.atol), ("--rtol", self.rtol), ("--max-ulp", self.max_ulp)]
        words = [f"{option} {value}" for option, value in said if value is not None]
        return " ".join([*words, *["--equal-nan"] * self.equal_nan])


def nothing_left() -> UsageError:
    """Return the error for patterns that leave no tensor."""
    return UsageError("no tensor is left to compare", fix="Check include and exclude.")
