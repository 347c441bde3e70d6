"""The page on a comparison: A is the left file, B the right one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, TextIO

from ckpttool.comparison.result import DiffKind, Outcome
from ckpttool.findings.results import Report
from ckpttool.findings.text import count, printable
from ckpttool.reports.details import LONG
from ckpttool.reports.html.changed import (
    COLUMNS,
    MEASURES,
    TITLES,
    anchor_of,
    largest_of,
    leaves_of,
    points,
    roles,
    row_maker,
)
from ckpttool.reports.html.facts import origin
from ckpttool.reports.html.findings import findings_of
from ckpttool.reports.html.heat_map import heat_map
from ckpttool.reports.html.page import Fact, Look, Page, Part, Section, write_page
from ckpttool.reports.html.parts import (
    facts_section,
    histograms_section,
    table_section,
    unchecked_of,
)
from ckpttool.reports.html.pictures import changes_of
from ckpttool.reports.html.room import Room, rooms
from ckpttool.reports.html.shown import name, parameters, whole
from ckpttool.reports.html.tensors import Tensors, table_of
from ckpttool.reports.html.tree_map import tree_map

if TYPE_CHECKING:
    from ckpttool.comparison.result import Comparison

LOOKS = {
    Outcome.SAME: Look("SAME", "=", "pass"),
    Outcome.DIFFERENT: Look("DIFFERENT", "≠", "differ"),
    Outcome.CANNOT_TELL: Look("CANNOT TELL", "?", "unsure"),
}
_NO_STATISTICS = (
    "This result has no statistics of the tensors, so there are no histograms, and the map shows "
    "changes alone. diff --stats gathers them, and --report html=FILE does so unasked."
)
_VALUE = 200  # characters of a value beside the weights


def write(comparison: Comparison, stream: TextIO) -> None:
    """Write the page."""
    write_page(page_of(comparison), stream)


def page_of(comparison: Comparison) -> Page:
    """Return the page on a comparison, with paths that are the same on every machine."""
    from ckpttool.findings.portable import portable

    left, right = portable(Report((comparison.left, comparison.right))).files
    shown = comparison._replace(left=left, right=right)
    look, lead = LOOKS[shown.outcome], _lead(shown)
    title = f"{name(left.path)} | {name(right.path)}"
    sections = tuple(_sections(shown, rooms()))
    part = Part("d", title, look, lead, tuple(_tiles(shown)), _unchecked(shown), sections)
    return Page("diff", title, look, lead, (part,))


def _lead(comparison: Comparison) -> str:
    counted = [f"{number:,} {TITLES[kind]}" for kind, number in comparison.counts.items() if number]
    told = f"{', '.join(counted)}, of {count(len(comparison.tensors), 'tensor')}"
    if not comparison.tensors:
        told = "no tensors were compared"
    if comparison.tolerance:
        told += f"; with {comparison.tolerance}"
    if comparison.state:
        differ = count(len(comparison.state), "value")
        told += f"; {differ} beside them {'differs' if len(comparison.state) == 1 else 'differ'}"
    return printable(told, LONG)


def _tiles(comparison: Comparison) -> Iterator[Fact]:
    counts = comparison.counts
    yield Fact("A", name(comparison.left.path))
    yield Fact("B", name(comparison.right.path))
    yield Fact("identical", f"{counts[DiffKind.IDENTICAL]:,} / {len(comparison.tensors):,}")
    if counts[DiffKind.CHANGED]:
        yield Fact("changed", whole(counts[DiffKind.CHANGED]))
    for label, file in (("parameters of A", comparison.left), ("of B", comparison.right)):
        if file.parameters is not None:
            yield Fact(label, parameters(file.parameters))


def _unchecked(comparison: Comparison) -> tuple[str, ...]:
    told = [printable(note, LONG) for note in comparison.notes]
    if comparison.excluded:
        told.append(f"{count(comparison.excluded, 'name')} left out by the options")
    for side, keys in zip("AB", comparison.aside):
        if keys:
            told.append(f"{count(len(keys), 'key')} beside the weights of {side}")
    for side, file in (("A", comparison.left), ("B", comparison.right)):
        told += [f"{side}: {one}" for one in unchecked_of(file)]
    return tuple(told)


def _sections(comparison: Comparison, room: dict[str, Room]) -> Iterator[Section]:
    left, right = comparison.left, comparison.right
    table = _table(comparison, room["tensors"])
    shown = {row.anchor for row in table.rows}
    every = ((at, anchor_of(at)) for at in range(len(comparison.tensors)))
    anchors = {at: anchor for at, anchor in every if anchor in shown}
    by_name = {comparison.tensors[at].name: anchor for at, anchor in anchors.items()}
    found = [("A", one) for one in left.findings] + [("B", one) for one in right.findings]
    told = findings_of(found, (*left.waived, *right.waived), by_name, room["findings"])
    yield Section("findings", "Findings", told)
    if comparison.tensors:
        yield from _charts(comparison, anchors, room)
        yield Section("tensors", "Tensors", table)
        largest = largest_of(comparison, anchors, room["changes"])
        note = "" if largest else "No value differs."
        yield Section("largest", "Largest changes", largest, note)
    if comparison.reconstructions:
        yield Section("pictures", "Reconstructions", changes_of(comparison.reconstructions))
    yield from _beside(comparison, room)
    for side, file in (("A", left), ("B", right)):
        yield facts_section(
            f"provenance-{side.lower()}", f"Provenance of {side}", origin(file), room
        )
    yield facts_section("receipt", "Receipt", _receipt(comparison), room)


def _charts(
    comparison: Comparison, anchors: dict[int, str], room: dict[str, Room]
) -> Iterator[Section]:
    drawn = heat_map(points(comparison, anchors), MEASURES, roles(comparison), room["heat map"])
    note = "" if drawn else "No tensor that both files have differs in its values."
    yield Section("map", "Heat map", drawn, note, "heat_map")
    sides = [file.statistics for file in (comparison.left, comparison.right)]
    known = [side for side in sides if side is not None]
    if len(known) == len(sides):
        yield histograms_section(known, ("A", "B"), room)
    else:
        yield Section("histograms", "Histograms by block", None, _NO_STATISTICS)
    tree = tree_map(leaves_of(comparison), room["tree map"])
    if tree is not None:
        yield Section("parameters", "Parameters", (tree, ()))


def _table(comparison: Comparison, room: Room) -> Tensors:
    # what differs comes before what does not, where not all fit
    tensors = comparison.tensors
    first = [at for at, one in enumerate(tensors) if not one.same]
    return table_of(COLUMNS, len(tensors), row_maker(comparison), first, room)


def _beside(comparison: Comparison, room: dict[str, Room]) -> Iterator[Section]:
    if comparison.state:
        rows = ((name(one.key), _value(one.left), _value(one.right)) for one in comparison.state)
        caption, heads = "What is stored beside the weights and differs", ("key", "A", "B")
        yield table_section("state", "Beside the weights", caption, heads, rows, room["files"])
    if comparison.structure:
        told = [
            Fact(one.name, printable(f"{one.left} -> {one.right}", LONG))
            for one in comparison.structure
        ]
        yield facts_section("structure", "Structure", told, room)


def _value(text: str | None) -> str:
    return "absent" if text is None else printable(text, _VALUE)


def _receipt(comparison: Comparison) -> Iterator[Fact]:
    import shlex

    words = ["ckpttool", "diff", name(comparison.left.path), name(comparison.right.path)]
    given = f" {comparison.tolerance}" if comparison.tolerance else ""
    yield Fact("command", " ".join(map(shlex.quote, words)) + given, code=True)
    yield Fact("tolerance", comparison.tolerance or "none: equal bytes only")
    if comparison.beside:
        counted = (
            f"{number:,} {TITLES[kind]}"
            for kind, number in comparison.counts_beside.items()
            if number
        )
        yield Fact("tensors beside the weights", ", ".join(counted))
