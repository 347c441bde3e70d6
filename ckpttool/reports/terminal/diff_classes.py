"""The classes of a comparison as text: a row for each tensor, and one line for what all share."""

from __future__ import annotations

from math import inf, prod
from typing import TYPE_CHECKING, Any, Callable, Iterable, Iterator, Sequence

from rich.text import Text

from ckpttool.comparison.result import DiffKind
from ckpttool.findings.amounts import one_sided
from ckpttool.findings.name_rules import rules_of
from ckpttool.findings.names import summarise
from ckpttool.findings.text import count, printable
from ckpttool.reports.terminal import diff_numbers as numbers
from ckpttool.reports.terminal.diff_map import sign_of
from ckpttool.reports.terminal.page import styled
from ckpttool.reports.terminal.table import Column, write_table

if TYPE_CHECKING:
    from ckpttool.comparison.result import Change, Side, TensorDiff
    from ckpttool.reports.terminal.page import Page
    from ckpttool.reports.terminal.view import DiffView

#: Tensors of a class that are listed without --top.
TOP = 10

#: What each class is called.
TITLES = {
    DiffKind.CHANGED: "changed",
    DiffKind.SHAPE: "of another shape",
    DiffKind.DTYPE: "of another dtype",
    DiffKind.ONLY_LEFT: "only in the left file",
    DiffKind.ONLY_RIGHT: "only in the right file",
    DiffKind.NOT_COMPARED: "not compared",
    DiffKind.RENAMED: "renamed",
    DiffKind.MOVED: "with another prefix",
    DiffKind.CAST: "equal after a cast",
    DiffKind.WITHIN_TOLERANCE: "within the tolerance",
    DiffKind.WITHIN_ULP: "within the ULPs allowed",
    DiffKind.IDENTICAL: "identical",
}
# Classes of which the values may be looked at one by one; of the others all is said in lines.
_LISTED = frozenset({DiffKind.CHANGED, DiffKind.DTYPE})
_OTHER_NAMES = frozenset({DiffKind.RENAMED, DiffKind.MOVED})
_LONG = 4000  # characters of names in a line
_RULES = 8  # rules of names, or groups of shapes, before the rest is counted


def write_class(
    page: Page,
    kind: DiffKind,
    tensors: Sequence[TensorDiff],
    view: DiffView,
    where: str = "",
    *,
    renamed: bool,
) -> None:
    """Write the tensors of one class.

    Args:
        page: where to.
        kind: the class.
        tensors: at least one of it.
        view: order, and how many rows.
        where: of the file, in words for the title.
        renamed: whether names on both sides are worth telling: not those of two conventions.
    """
    shared = _shared_type(tensors)
    title = styled(f"{TITLES[kind]}{where}", "bold")
    # of a cast, the line below has the types
    page.line(title.append(f", {shared}" if shared and kind is not DiffKind.CAST else ""), 2, 4)
    for line in _lines(kind, tensors, renamed=renamed or kind in _OTHER_NAMES):
        page.line(Text(line), 4, 6)
    rows = tensors if view.top is not None or kind in _LISTED else ()
    rows = [one for one in rows if one.change is not None and not _lopsided(one.change)]
    rows.sort(key=ORDERS[view.sort])
    top = TOP if view.top is None else view.top
    if rows[:top]:
        _write_rows(page, rows[:top], with_dtype=not shared)
    if len(rows) > top:
        page.line(Text(f"and {len(rows) - top:,} more (--top N or --top all lists them)"), 4, 6)
    for line in _zero(tensors, "zero on the left", lambda change: change.from_zero):
        page.line(Text(line), 4, 6)
    for note, names in _notes(kind, tensors).items():
        page.line(Text(f"{_named(names, TOP)}: {printable(note)}"), 4, 6)


# --- lines ---------------------------------------------------------------------------------


def _lines(kind: DiffKind, tensors: Sequence[TensorDiff], *, renamed: bool) -> Iterator[str]:
    """Yield what is said of many tensors at once."""
    if kind in (DiffKind.ONLY_LEFT, DiffKind.ONLY_RIGHT):
        # a missing decoder is a hundred names: ranges of blocks are shorter than a line each
        yield _named([one.name for one in tensors], TOP)
        return
    if kind is DiffKind.SHAPE:
        yield from _types(tensors)
    if kind is DiffKind.CAST:
        yield from _casts(tensors)
    if kind in (DiffKind.WITHIN_TOLERANCE, DiffKind.WITHIN_ULP):
        yield _most(tensors)
    if renamed:
        yield from _renamed(tensors)
    if kind in _LISTED:
        yield from _types([one for one in tensors if one.change is None])
    yield from _not_finite(tensors)
    yield from _zero(tensors, "zero on the right", lambda change: change.to_zero)


def _not_finite(tensors: Sequence[TensorDiff]) -> Iterator[str]:
    """Yield which tensors are NaN or infinite on one side only, and in how many elements."""
    for word, field in (("NaN", "nan"), ("infinite", "infinite")):
        for side in ("left", "right"):
            counted = [
                (one.name, getattr(one.change, f"{field}_{side}")) for one in tensors if one.change
            ]
            names = [name for name, number in counted if number]
            if names:
                told = one_sided(sum(number for _, number in counted), word, f"on the {side}")
                yield f"{told}: {_named(names, TOP)}"


def _zero(
    tensors: Sequence[TensorDiff], what: str, chooses: Callable[[Change], bool]
) -> Iterator[str]:
    """Yield which tensors are zero everywhere on one side: no relative change tells more."""
    chosen = [(one.name, one.change) for one in tensors if one.change and chooses(one.change)]
    if not chosen:
        return
    names = [name for name, _ in chosen]
    nouns = ("tensor", "tensors")
    if all(name.rpartition(".")[2] == "bias" for name in names):
        nouns = ("bias", "biases")
    one = len(names) == 1
    peaks = [change.max_abs.value for _, change in chosen if change.max_abs]
    by = f", largest difference {numbers.number(max(peaks), 3)}" if peaks else ""
    number = f"{len(names):,} {nouns[not one]} {'is' if one else 'are'}"
    yield f"{number} {what}{by}: {_named(names, TOP)}"


def _lopsided(change: Change) -> bool:
    """Whether one side is zero everywhere: no relative change tells more than that."""
    return change.from_zero or change.to_zero


def _casts(tensors: Sequence[TensorDiff]) -> Iterator[str]:
    groups: dict[tuple[str, str], list[TensorDiff]] = {}
    for one in tensors:
        if one.left and one.right:
            groups.setdefault((one.left.dtype, one.right.dtype), []).append(one)
    for (left, right), pairs in groups.items():
        lossy = {side: [one for one in pairs if one.rounded == side] for side in ("left", "right")}
        for side, other, dtype in (("right", "left", right), ("left", "right", left)):
            alike = lossy[side]
            # numbers that are equal are rounded, too: to themselves
            exact = [one for one in pairs if one.rounded is None] if not all(lossy.values()) else []
            if not alike:
                continue
            be = "is" if len(alike + exact) == 1 else "are"
            aside = f", {len(exact):,} of them without any loss" if exact else ""
            which = _all_of(alike + exact, tensors)
            yield f"{which} on the {side} {be} the {other} rounded to {dtype}{aside}"
            most = _most(alike)
            if most:
                yield most
        exact = [one for one in pairs if one.rounded is None]
        if (exact and all(lossy.values())) or not any(lossy.values()):
            has = "has" if len(exact) == 1 else "have"
            which = _all_of(exact, tensors)
            yield f"{which} {has} the same numbers: {left} on the left, {right} on the right"


def _all_of(alike: Sequence[object], tensors: Sequence[object]) -> str:
    if len(alike) != len(tensors) or len(alike) == 1:
        return count(len(alike), "tensor")
    return f"all {len(alike):,} tensors"


def _most(tensors: Sequence[TensorDiff]) -> str:
    """Return the largest relative change and the largest difference of many."""
    changes = [(one.change, one.name) for one in tensors if one.change]
    told = []
    shares = [(c.relative_rms, name) for c, name in changes if c.relative_rms]
    if shares:
        share, name = max(shares)
        told.append(f"relative change up to {numbers.relative(share)} ({printable(name)})")
    peaks = [(c.max_abs.value, name) for c, name in changes if c.max_abs and c.max_abs.value]
    if peaks:
        value, name = max(peaks)
        told.append(f"largest difference {numbers.number(value, 3)} ({printable(name)})")
    return ", ".join(told)


def _types(tensors: Sequence[TensorDiff]) -> Iterator[str]:
    """Yield names by what their dtypes and shapes are on both sides."""
    groups: dict[str, list[str]] = {}
    for one in tensors:
        groups.setdefault(_type(one), []).append(one.name)
    for types, names in list(groups.items())[:_RULES]:
        yield f"{_named(names, TOP)}: {types}"
    if len(groups) > _RULES:
        rest = sum(map(len, list(groups.values())[_RULES:]))
        yield f"and {rest:,} more of other types (--format json lists all)"


def _renamed(tensors: Sequence[TensorDiff]) -> Iterator[str]:
    pairs = [
        (", ".join(one.left.names), ", ".join(one.right.names))
        for one in tensors
        if one.left and one.right and one.left.names != one.right.names
    ]
    rules = sorted(rules_of(pairs).items(), key=lambda item: -len(item[1]))
    for rule, alike in rules[:_RULES]:
        which = "" if len(alike) == 1 else f"{_all_of(alike, tensors)}: "
        yield f"{which}{printable(rule.left)} -> {printable(rule.right)}"
    if len(rules) > _RULES:
        rest = sum(len(alike) for _, alike in rules[_RULES:])
        yield f"and {rest:,} more (--format json lists all)"


def _notes(kind: DiffKind, tensors: Iterable[TensorDiff]) -> dict[str, list[str]]:
    """Return what is said of single tensors, each note once."""
    notes: dict[str, list[str]] = {}
    if kind is DiffKind.CAST:  # told above
        return notes
    for one in tensors:
        if one.note is not None:
            notes.setdefault(one.note, []).append(one.name)
    return notes


def _named(names: Sequence[str], most: int) -> str:
    return printable(summarise(names, max(most, 1)), _LONG)


# --- the table -------------------------------------------------------------------------------

_COLUMNS = (
    Column("tensor", "tensor", right=False),
    Column("shape", "shape", right=False, need=2),
    Column("elements", "elements", need=3),
    Column("outside the tolerance", "outside", need=5),
    Column("relative change", "rel. change", need=6),
    Column("largest difference", "max. diff.", need=4),
    Column("there", "there", right=False, need=1),
)


def _write_rows(page: Page, tensors: Sequence[TensorDiff], *, with_dtype: bool) -> None:
    rows, signs = [], []
    for one in tensors:
        sign = sign_of(one)
        signs.append(styled(page.sign(sign.character), sign.style))
        told = _type(one) if with_dtype else _shape(one.left)
        assert one.change is not None  # noqa: S101 (the caller looked)
        rows.append([Text(printable(one.name)), Text(told), *_cells(one.change)])
    write_table(page, _COLUMNS, rows, signs, 4)


def _cells(change: Change) -> list[Text]:
    numeric = change.max_abs is not None and bool(change.max_abs.value)
    share = change.relative_rms
    told = numbers.relative(share) if share is not None and (numeric or not change.odd) else ""
    if change.odd:
        word = "NaN" if change.nan_left or change.nan_right else "infinite"
        told = word if not told else f"{word}, {told}"
    return [
        Text(numbers.elements(change.changed, change.elements)),
        Text("" if change.outside is None else f"{change.outside:,}"),
        Text(told or "-"),
        Text(numbers.largest(change)),
        Text(numbers.place(change.max_abs)),
    ]


def _shared_type(tensors: Sequence[TensorDiff]) -> str:
    """Return the dtype that all share, on both sides; empty if they do not."""
    sides = {(one.left and one.left.dtype, one.right and one.right.dtype) for one in tensors}
    if len(sides) != 1:
        return ""
    found = [dtype for dtype in sides.pop() if dtype]
    return " -> ".join(dict.fromkeys(found))


def _type(one: TensorDiff) -> str:
    told = [f"{side.dtype} {_shape(side)}" for side in (one.left, one.right) if side]
    return " -> ".join(dict.fromkeys(told))


def _shape(side: Side | None) -> str:
    return str(list(side.shape)) if side else ""


# --- order -----------------------------------------------------------------------------------


def _by_change(tensor: TensorDiff) -> tuple[float, ...]:
    if tensor.change is None:
        return (1.0, 0.0, -elements_of(tensor))
    # NaN and infinity first, then tensors without a finite norm; last what began at zero, of which
    # the relative change is 100 % however little was added
    share = 0.0 if tensor.change.from_zero else tensor.change.relative_rms
    return (-tensor.change.odd, -(inf if share is None else share), -elements_of(tensor))


def elements_of(tensor: TensorDiff) -> int:
    """Return how many elements a tensor has, on the left if it is there."""
    side = tensor.left or tensor.right
    return prod(side.shape) if side else 0


#: What ``--sort`` may say, and the key that sorts by it.
ORDERS: dict[str, Callable[[TensorDiff], Any]] = {
    "change": _by_change,
    "name": lambda tensor: tensor.name,
    "size": lambda tensor: -elements_of(tensor),
}
