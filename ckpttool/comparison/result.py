"""What a comparison came to, as every reporter gets it. Plain values, like those of ``results``."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, Union

from ckpttool.findings.results import FileReport


class Outcome(Enum):
    """The three outcomes. The value is the word in reports."""

    SAME = "same"
    DIFFERENT = "different"
    CANNOT_TELL = "cannot-tell"

    @property
    def exit_code(self) -> int:
        """The process's exit status for this outcome: 0, 1, 2."""
        return list(Outcome).index(self)


class DiffKind(Enum):
    """What a tensor's comparison came to; the value is the class in reports.

    In the order in which reports list them: what weighs most first.
    """

    CHANGED = "changed"
    SHAPE = "shape-differs"
    DTYPE = "dtype-differs"
    ONLY_LEFT = "only-left"
    ONLY_RIGHT = "only-right"
    NOT_COMPARED = "not-compared"
    RENAMED = "renamed"
    MOVED = "moved"
    CAST = "equal-after-cast"
    WITHIN_TOLERANCE = "within-tolerance"
    WITHIN_ULP = "within-ulp"
    IDENTICAL = "identical"


class Side(NamedTuple):
    """A tensor on one side: its names there (several are one joined tensor), dtype and shape."""

    names: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]


#: A number in a tensor.
Element = Union[int, float, complex]


class Largest(NamedTuple):
    """The largest difference of some kind: how large, at which index, and the values there."""

    value: float
    at: tuple[int, ...]
    left: Element
    right: Element


class Change(NamedTuple):
    """By how much two tensors differ; ``docs/diff.md`` defines each number.

    Attributes:
        elements: how many there are; of a type below a byte, how many bytes.
        changed: how many of them differ.
        outside: how many differ by more than the tolerance; ``None`` without one.
        max_abs, max_rel: the largest differences between finite numbers.
        rms: root mean square difference.
        relative_rms: the same in parts of the larger side's root mean square.
        cosine: of the angle between the two as vectors.
        norm_change: of the Euclidean norm, in parts of the larger one; negative if it shrank.
        max_ulp: the largest distance in numbers of the type.
        nan_left, nan_right: elements that are NaN on that side only; infinite ones likewise.
    """

    elements: int
    changed: int
    outside: int | None
    max_abs: Largest | None
    max_rel: Largest | None
    rms: float | None
    relative_rms: float | None
    cosine: float | None
    norm_change: float | None
    max_ulp: int | None
    nan_left: int
    nan_right: int
    infinite_left: int
    infinite_right: int

    @property
    def odd(self) -> int:
        """How many elements are NaN or infinite on one side only."""
        return self.nan_left + self.nan_right + self.infinite_left + self.infinite_right


class TensorDiff(NamedTuple):
    """One tensor, or a pair of them.

    Attributes:
        name: the common name, a canonical one where two conventions were compared; for what is
            renamed or moved the left one.
        kind: the class.
        same: whether it counts as the same under the options.
        left, right: as each file has it; ``None`` where it is not there.
        change: the numbers; ``None`` for what is identical or was not compared by value.
        note: what else there is to say, in words.
    """

    name: str
    kind: DiffKind
    same: bool
    left: Side | None
    right: Side | None
    change: Change | None = None
    note: str | None = None


class StateDiff(NamedTuple):
    """Something beside the tensors that differs: its dotted key, and both values as text.

    ``None`` where a side does not have it.
    """

    key: str
    left: str | None
    right: str | None


class Fact(NamedTuple):
    """A property of the files as a whole on both sides; told, and no difference by itself."""

    name: str
    left: str
    right: str


class Comparison(NamedTuple):
    """A run of ``diff``.

    Attributes:
        left, right: the facts of each file, and what is wrong with it if it could not be read.
        outcome: the verdict.
        tensors: every tensor, in the order of their names.
        beside: the tensors beside the weights (averages, an optimizer's moments), likewise.
        state: what else differs beside the weights.
        structure: properties that the two do not share (container, wrapper, layout, ties).
        excluded: tensors and entries that the options left out.
        aside: what each side holds beside the weights and was not asked for.
        notes: what was not compared, in words.
        tolerance: the tolerances asked for, as options; empty for none.
    """

    left: FileReport
    right: FileReport
    outcome: Outcome
    tensors: tuple[TensorDiff, ...] = ()
    beside: tuple[TensorDiff, ...] = ()
    state: tuple[StateDiff, ...] = ()
    structure: tuple[Fact, ...] = ()
    excluded: int = 0
    aside: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    notes: tuple[str, ...] = ()
    tolerance: str = ""

    @property
    def exit_code(self) -> int:
        """The process's exit status for the run."""
        return self.outcome.exit_code

    @property
    def counts(self) -> dict[DiffKind, int]:
        """How many tensors are in each class, in the order of :class:`DiffKind`."""
        return _counted(self.tensors)

    @property
    def counts_beside(self) -> dict[DiffKind, int]:
        """The same of the tensors beside the weights."""
        return _counted(self.beside)


def _counted(tensors: tuple[TensorDiff, ...]) -> dict[DiffKind, int]:
    counts = dict.fromkeys(DiffKind, 0)
    for tensor in tensors:
        counts[tensor.kind] += 1
    return counts
