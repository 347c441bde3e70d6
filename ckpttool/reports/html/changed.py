"""What the tensors of a comparison give its page: the map, the table, the largest changes."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Callable, Iterator, Mapping, NamedTuple, Sequence

from ckpttool.comparison.result import DiffKind
from ckpttool.findings.text import printable
from ckpttool.reports.html import tree_map
from ckpttool.reports.html.heat_map import Measure, Point, Value
from ckpttool.reports.html.histograms import small
from ckpttool.reports.html.measured import bins_of, values_of
from ckpttool.reports.html.room import Room, written
from ckpttool.reports.html.shown import Drawn, name, number, shape, whole
from ckpttool.reports.html.tensors import Column, Row

if TYPE_CHECKING:
    from ckpttool.comparison.result import Change, Comparison, Place, Side, TensorDiff
    from ckpttool.comparison.result import Largest as Difference
    from ckpttool.findings.statistics import Statistics

#: What each class is called.
TITLES = {
    DiffKind.CHANGED: "changed",
    DiffKind.SHAPE: "another shape",
    DiffKind.DTYPE: "another dtype",
    DiffKind.ONLY_LEFT: "only in A",
    DiffKind.ONLY_RIGHT: "only in B",
    DiffKind.NOT_COMPARED: "not compared",
    DiffKind.RENAMED: "renamed",
    DiffKind.MOVED: "another prefix",
    DiffKind.CAST: "equal after a cast",
    DiffKind.WITHIN_TOLERANCE: "within the tolerance",
    DiffKind.WITHIN_ULP: "within the ULPs allowed",
    DiffKind.IDENTICAL: "identical",
}
#: What the map of a comparison can show.
MEASURES = (
    Measure(
        "change",
        "Change",
        "The RMS of the difference, in parts of the larger side's RMS: 0.01 is one percent.",
    ),
    Measure(
        "cosine",
        "1 - cosine",
        "How far the two point in different directions: 0 is the same, 1 a right angle.",
    ),
    Measure("rms", "RMS of B", "The root mean square of each tensor's values in B."),
    Measure("max", "Largest of B", "The largest absolute value of each tensor in B."),
)
#: The columns of the table after the name.
COLUMNS = (
    Column("class"),
    Column("dtype"),
    Column("shape"),
    Column("elements", numeric=True),
    Column("changed", numeric=True),
    Column("relative change", numeric=True),
    Column("RMS change", numeric=True),
    Column("largest change", numeric=True),
    Column("cosine", numeric=True),
    Column("norm", numeric=True),
    Column("ULPs", numeric=True),
    Column("RMS of A", numeric=True),
    Column("RMS of B", numeric=True),
)
#: Tensors in the list of the largest changes.
_TOP = 20
_WORDS = {
    DiffKind.ONLY_LEFT: "left",
    DiffKind.ONLY_RIGHT: "right",
    DiffKind.SHAPE: "other",
    DiffKind.NOT_COMPARED: None,
}


# --- the map -----------------------------------------------------------------------------


def points(comparison: Comparison, anchors: Mapping[int, str]) -> list[Point]:
    """Return the tensors for the map; ``anchors`` are of their rows, by number."""
    values = _values_by_name(comparison.right.statistics)
    found = []
    for at, (one, place) in enumerate(zip(comparison.tensors, comparison.map.places)):
        role = _role(one.name, place)
        numbers = {**values.get(one.name, {}), **_change_values(one)}
        found.append(Point(place.group, place.block, role, anchors.get(at), numbers))
    return found


def roles(comparison: Comparison) -> list[str]:
    """Return the roles of the map in the order in which a block computes."""
    found: dict[str, dict[str, None]] = {row: {} for row in comparison.map.rows}
    for one, place in zip(comparison.tensors, comparison.map.places):
        if place.block is not None and place.row in found:
            found[place.row][_role(one.name, place)] = None
    return [role for known in found.values() for role in known]


def _role(full: str, place: Place) -> str:
    """Return the name within the block: a row of the terminal's map has several of them."""
    if place.block is None:
        return full
    return full.partition(f".{place.block}.")[2] or place.row


def _values_by_name(statistics: Statistics | None) -> dict[str, dict[str, Value]]:
    return {} if statistics is None else {one.name: values_of(one) for one in statistics.tensors}


def _change_values(one: TensorDiff) -> dict[str, Value]:
    if one.kind in _WORDS:
        word = _WORDS[one.kind]
        return {"change": word, "cosine": word}
    change = one.change
    if change is None:
        word = "same" if one.same or one.kind in (DiffKind.RENAMED, DiffKind.MOVED) else None
        return {"change": word, "cosine": word}
    if change.odd:
        word = "NaN" if change.nan_left or change.nan_right else "inf"
        return {"change": word, "cosine": word}
    if not change.changed:
        return {"change": "same", "cosine": "same"}
    cosine = None if change.cosine is None else max(0.0, 1.0 - change.cosine)
    relative = None if change.relative_rms is None else float(change.relative_rms)
    return {"change": relative, "cosine": cosine}


# --- the table ---------------------------------------------------------------------------


def anchor_of(at: int) -> str:
    """Return the anchor of a tensor's row."""
    return f"d-t{at}"


def row_maker(comparison: Comparison) -> Callable[[int], Row]:
    """Return the function that makes the row of a tensor, by its number."""
    known = [
        {one.name: one for one in file.statistics.tensors} if file.statistics else {}
        for file in (comparison.left, comparison.right)
    ]

    def row_of(at: int) -> Row:
        one = comparison.tensors[at]
        sides = [side.get(one.name) for side in known]
        cells = (*_cells(one), *(number(side.rms, 4) if side else "" for side in sides))
        # with one side alone, its colour would be taken for that of A
        measured = [side.histogram for side in sides if side and side.histogram]
        both = len(measured) == len(sides)
        picture = small(*map(bins_of, measured)) if both else Drawn("")
        return Row(name(one.name), cells, picture, anchor_of(at))

    return row_of


def _cells(one: TensorDiff) -> tuple[str, ...]:
    return (
        TITLES[one.kind],
        _both(one.left and one.left.dtype, one.right and one.right.dtype),
        _both(one.left and shape(one.left.shape), one.right and shape(one.right.shape)),
        whole(_elements(one)),
        *(_numbers(one.change) if one.change else [""] * 7),
    )


def _numbers(change: Change) -> list[str]:
    return [
        whole(change.changed),
        number(change.relative_rms),
        number(change.rms),
        number(change.max_abs and change.max_abs.value),
        number(change.cosine, 7),
        number(change.norm_change),
        whole(change.max_ulp),
    ]


def _both(left: str | None, right: str | None) -> str:
    if left is None or right is None or left == right:
        return printable(left or right or "")
    return printable(f"{left} -> {right}")


def _elements(one: TensorDiff) -> int:
    side: Side | None = one.right or one.left
    return 0 if side is None else prod(side.shape)


def leaves_of(comparison: Comparison) -> list[tree_map.Leaf]:
    """Return the parts of the model, and which file has them."""
    origins = {DiffKind.ONLY_LEFT: "left", DiffKind.ONLY_RIGHT: "right"}
    sums: dict[tuple[str, str], list[int]] = {}
    for one, place in zip(comparison.tensors, comparison.map.places):
        label = place.group if place.block is None else f"{place.group} {place.block}"
        both = sums.setdefault((label, origins.get(one.kind, "both")), [0, 0])
        both[0] += 1
        both[1] += _elements(one)
    return [tree_map.Leaf(*key, *numbers) for key, numbers in sums.items()]


# --- the largest changes -----------------------------------------------------------------


class Bar(NamedTuple):
    """A tensor in the list: a bar of its change, of the largest one, and its numbers."""

    name: str
    anchor: str | None
    width: float
    cells: tuple[str, ...]


class Largest(NamedTuple):
    """The tensors that changed most, and how many others changed, with or without a measure."""

    bars: tuple[Bar, ...]
    others: int
    lopsided: int


def largest_of(comparison: Comparison, anchors: Mapping[int, str], room: Room) -> Largest | None:
    """Return the tensors with the largest relative changes; ``None`` where none changed."""
    changed = list(_changed(comparison.tensors))
    # of a tensor that was zero, or is, no share tells how far it moved
    told = [pair for pair in changed if not _lopsided(pair[1])]
    told.sort(key=lambda pair: (-(pair[1].relative_rms or 0.0), pair[0]))
    top = (told[0][1].relative_rms or 0.0) if told else 0.0
    bars = (
        _bar(comparison.tensors[at], change, anchors.get(at), top) for at, change in told[:_TOP]
    )
    kept = room.fitting(bars, lambda bar: written(bar.name) + 400)
    if not changed:
        return None
    return Largest(tuple(kept), len(told) - len(kept), len(changed) - len(told))


def _changed(tensors: Sequence[TensorDiff]) -> Iterator[tuple[int, Change]]:
    for at, one in enumerate(tensors):
        if one.change is not None and one.change.changed:
            yield at, one.change


def _lopsided(change: Change) -> bool:
    if change.odd or change.relative_rms is None:
        return True
    return abs(change.norm_change or 0.0) == 1.0


def _bar(one: TensorDiff, change: Change, anchor: str | None, top: float) -> Bar:
    relative = change.relative_rms or 0.0
    largest = change.max_abs
    where = "" if largest is None else f"at {list(largest.at)}: {_from_to(largest)}"
    cells = (
        f"{number(100 * relative)} %",
        f"{whole(change.changed)} of {whole(change.elements)}",
        number(change.cosine, 7),
        number(largest and largest.value),
        where,
    )
    return Bar(name(one.name), anchor, round(100 * relative / top, 1) if top else 0.0, cells)


def _from_to(largest: Difference) -> str:
    left, right = largest.left, largest.right
    if isinstance(left, complex) or isinstance(right, complex):
        return f"{left} -> {right}"
    return f"{left:.6g} -> {right:.6g}"
