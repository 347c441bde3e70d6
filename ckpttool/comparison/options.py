"""What ``diff`` is asked for, and what it tells on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Sequence

from ckpttool.findings.arguments import (
    check_executor,
    check_flags,
    check_number,
    check_text,
    check_workers,
)
from ckpttool.findings.errors import UsageError
from ckpttool.models.families import FAMILIES

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from ckpttool.models.family import Family


class DiffOptions(NamedTuple):
    """What to compare, and what to overlook.

    Attributes:
        atol, rtol: a pair of elements may differ by ``atol + rtol * max(|a|, |b|)``; one that is
            not given is 0. ``None`` for both: nothing is overlooked.
        max_ulp: numbers of the type that may lie between the two, less one.
        equal_nan: whether one NaN is as good as another.
        include, exclude: patterns of names of tensors and of keys beside them.
        workers: threads; ``None`` for one a processor, at most 6, and one for small tensors.
        executor: where they come from; see :class:`ckpttool.tensors.workers.Work`.
        weights_only: whether what lies beside the weights is left aside.
        wrappers: dotted keys of the state dicts to take, left and right; ``None`` to choose.
        family: the models by whose names the map is drawn.
    """

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
    family: Family = FAMILIES[0]

    @property
    def tolerant(self) -> bool:
        """Whether values are held against a tolerance."""
        return self.atol is not None or self.rtol is not None or self.equal_nan

    def check(self) -> None:
        """Refuse what cannot be meant: a tolerance that any difference is within, or none.

        Raises:
            UsageError: a tolerance is no finite number of at least 0, or a type is wrong.
        """
        check_number(self.atol, 0, "--atol")
        check_number(self.rtol, 0, "--rtol")
        check_number(self.max_ulp, 0, "--max-ulp", whole=True)
        check_workers(self.workers)
        check_executor(self.executor)
        check_flags({"--equal-nan": self.equal_nan, "--weights-only": self.weights_only})
        for what, wrapper in zip(("--left-wrapper", "--right-wrapper"), self.wrappers):
            check_text(wrapper, what)

    def __str__(self) -> str:
        said = [("--atol", self.atol), ("--rtol", self.rtol), ("--max-ulp", self.max_ulp)]
        words = [f"{option} {value}" for option, value in said if value is not None]
        return " ".join([*words, *["--equal-nan"] * self.equal_nan])


def nothing_left() -> UsageError:
    """Return the error of patterns that leave no tensor."""
    return UsageError("no tensor is left to compare", fix="Look at --include and --exclude.")
