"""The result of a comparison, as every reporter gets it: plain values."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple, Union

from ckpttool.findings.finding import Finding
from ckpttool.findings.json_fields import document, file_fields
from ckpttool.findings.pictures import ReconstructionChange
from ckpttool.findings.results import FileReport
from ckpttool.findings.text import brief


class Outcome(Enum):
    """The three outcomes. The value is the word in reports."""

    SAME = "same"
    DIFFERENT = "different"
    CANNOT_TELL = "cannot-tell"

    @property
    def exit_code(self) -> int:
        """The process's exit status for this outcome: 0, 1, 2."""
        # The same numbers as diff(1) has, so that scripts can treat both alike.
        return list(Outcome).index(self)


class DiffKind(Enum):
    """The class of a tensor; the value is its name in reports, which list them in this order."""

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
    """A tensor on one side: its names there (several if it is joined from parts), dtype, shape."""

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
        nan_left, nan_right: elements that are NaN on that side only.
        infinite_left, infinite_right: elements that are infinite on that side only.
        norm_left, norm_right: Euclidean norms; ``None`` beyond float64, or if not all is finite.
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
    norm_left: float | None = None
    norm_right: float | None = None

    @property
    def odd(self) -> int:
        """How many elements are NaN or infinite on one side only."""
        return self.nan_left + self.nan_right + self.infinite_left + self.infinite_right

    @property
    def from_zero(self) -> bool:
        """Whether the left tensor is zero everywhere, and the right one is not."""
        return not self.odd and self.norm_left == 0.0 and bool(self.norm_right)

    @property
    def to_zero(self) -> bool:
        """Whether the right tensor is zero everywhere, and the left one is not."""
        return not self.odd and self.norm_right == 0.0 and bool(self.norm_left)


class Part(NamedTuple):
    """One of the equal parts of a fused tensor: its name, rows from ``start`` to before ``stop``.

    ``same``: whether its bytes are the same on both sides.
    """

    name: str
    start: int
    stop: int
    same: bool


class TensorDiff(NamedTuple):
    """One tensor, or a pair of them.

    Attributes:
        name: the common name, a canonical one where two conventions were compared; the left one
            if it was renamed or moved.
        kind: the class.
        same: whether it counts as the same under the options.
        left, right: as each file has it; ``None`` if the file lacks it.
        change: the numbers; ``None`` if it is identical or was not compared by value.
        note: an explanation in words.
        parts: of a fused tensor that changed, its parts: query, key and value.
        rounded: of one that is equal after a cast, the side that is the other one rounded;
            ``None`` if the values are equal.
    """

    name: str
    kind: DiffKind
    same: bool
    left: Side | None
    right: Side | None
    change: Change | None = None
    note: str | None = None
    parts: tuple[Part, ...] = ()
    rounded: str | None = None


class StateDiff(NamedTuple):
    """Something beside the tensors that differs: its dotted key, and both values as text.

    ``None`` where a side does not have it.
    """

    key: str
    left: str | None
    right: str | None


class StructureDiff(NamedTuple):
    """A property of both files as a whole; reported, but no difference by itself."""

    name: str
    left: str
    right: str


class Place(NamedTuple):
    """Where the map shows a tensor.

    Attributes:
        group: the part of the model, or the stack of blocks if the model is not known.
        row: its role in its block, or its module if it is in no block.
        block: the number of its block, if it is in one.
    """

    group: str
    row: str
    block: int | None


class ModelMap(NamedTuple):
    """The map of the tensors that reports draw: roles by blocks.

    Attributes:
        rows: the known rows, in the order in which a block computes.
        places: the place of each tensor, in the order of the tensors.
    """

    rows: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()


class Comparison(NamedTuple):
    """A run of ``diff``.

    Attributes:
        left, right: what the header of each file says, and its findings.
        outcome: the verdict.
        tensors: every tensor, in the order of their names.
        beside: the tensors beside the weights (averages, an optimizer's moments), likewise.
        state: differing values beside the weights.
        structure: properties that differ (container, wrapper, layout, ties).
        excluded: how many tensors and entries the options left out.
        aside: keys beside the weights of each side that ``weights_only`` left out.
        notes: what was not compared, in words.
        tolerance: the tolerances as options; empty for none.
        map: the map of ``tensors``.
        reconstructions: of the images that were named, by both files.
    """

    left: FileReport
    right: FileReport
    outcome: Outcome
    tensors: tuple[TensorDiff, ...] = ()
    beside: tuple[TensorDiff, ...] = ()
    state: tuple[StateDiff, ...] = ()
    structure: tuple[StructureDiff, ...] = ()
    excluded: int = 0
    aside: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    notes: tuple[str, ...] = ()
    tolerance: str = ""
    map: ModelMap = ModelMap()
    reconstructions: tuple[ReconstructionChange, ...] = ()

    def __repr__(self) -> str:
        """Return a line: in a notebook, all fields would fill pages."""
        paths = f"{self.left.path} | {self.right.path}"
        return brief("Comparison", f"{self.outcome.value} {paths}")

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
        """The same for the tensors beside the weights."""
        return _counted(self.beside)

    @property
    def verdict(self) -> Outcome:
        """The outcome, under the name that it has in every result."""
        return self.outcome

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings on both files, those on the left one first."""
        return (*self.left.findings, *self.right.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``diff --format json`` writes; ``docs/diff.md`` defines the fields."""
        fields = {
            "verdict": self.outcome.value,
            "exit_code": self.exit_code,
            "left": file_fields(self.left),
            "right": file_fields(self.right),
            "summary": {kind.value: number for kind, number in self.counts.items()},
            "summary_beside": {kind.value: number for kind, number in self.counts_beside.items()},
            "tolerance": self.tolerance or None,
            "excluded": self.excluded,
            "left_aside": dict(zip(("left", "right"), self.aside)),
            "not_compared": self.notes,
            "structure": [fact._asdict() for fact in self.structure],
            "tensors": [_tensor(tensor) for tensor in self.tensors],
            "beside": [_tensor(tensor) for tensor in self.beside],
            "state": [entry._asdict() for entry in self.state],
        }
        if self.reconstructions:  # no field at all where no image was named
            fields["reconstructions"] = [one.fields() for one in self.reconstructions]
        return document("diff", fields)


def _counted(tensors: tuple[TensorDiff, ...]) -> dict[DiffKind, int]:
    # Every class, zeros included, so that readers of the JSON need not test for a key.
    counts = dict.fromkeys(DiffKind, 0)
    for tensor in tensors:
        counts[tensor.kind] += 1
    return counts


# The numbers of an identical tensor: those of a change would all be zero.
_NOTHING = {"changed": 0}


def _tensor(tensor: TensorDiff) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "class": tensor.kind.value,
        "same": tensor.same,
        "left": _side(tensor.left),
        "right": _side(tensor.right),
        "note": tensor.note,
        "parts": [
            {"name": part.name, "rows": [part.start, part.stop], "same": part.same}
            for part in tensor.parts
        ],
        **({"rounded": tensor.rounded} if tensor.kind is DiffKind.CAST else {}),
        **(_change(tensor.change) if tensor.change else _NOTHING if tensor.same else {}),
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    return None if side is None else side._asdict()


def _change(change: Change) -> dict[str, Any]:
    fields = change._asdict()
    for name in ("max_abs", "max_rel"):
        largest: Largest | None = fields[name]
        fields[name] = None if largest is None else largest.value
        fields[f"{name}_at"] = None if largest is None else _place(largest)
    return fields


def _place(largest: Largest) -> dict[str, Any]:
    return {"index": largest.at, "left": _number(largest.left), "right": _number(largest.right)}


def _number(value: Element) -> float | str:
    # JSON has no complex numbers
    return str(value) if isinstance(value, complex) else value
