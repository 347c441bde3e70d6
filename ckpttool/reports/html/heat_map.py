"""The heat map: blocks by roles, a coloured cell a tensor, and the number in each cell.

It is a table whose cells have colours, not a picture beside one: what one sees is what a screen
reader reads, and the keyboard moves in it.
"""

from __future__ import annotations

import math
from typing import Iterable, Mapping, NamedTuple, Sequence, Union

from ckpttool.findings.text import count
from ckpttool.reports.html import ramp
from ckpttool.reports.html.room import Room, written
from ckpttool.reports.html.shown import name, number

# What is drawn of one group; the rest is counted. Real models fit.
_MOST_BLOCKS = 96
_MOST_ROLES = 40
_MOST_GROUPS = 12


class Measure(NamedTuple):
    """A number of each tensor that a map can show: its key, its name, and what it says."""

    key: str
    label: str
    told: str


#: A number, or a word in its place (``missing``); ``None`` where there is nothing to say.
Value = Union[float, str, None]


class Point(NamedTuple):
    """A tensor, where it belongs, its row in the page's table, and its numbers by measure."""

    group: str
    block: int | None
    role: str
    anchor: str | None
    values: Mapping[str, Value]


class Cell(NamedTuple):
    """A cell: what stands in it, its class in the style sheet, and the row that it opens."""

    text: str
    look: str
    anchor: str | None = None


class Line(NamedTuple):
    """A row: a role, or a tensor outside of blocks."""

    label: str
    cells: tuple[Cell, ...]


class Grid(NamedTuple):
    """The map of a group; without ``blocks`` that of tensors outside of them."""

    title: str
    blocks: tuple[int, ...]
    lines: tuple[Line, ...]


class Map(NamedTuple):
    """The map by one measure, the ends of its scale as text, and which other looks it has."""

    measure: Measure
    grids: tuple[Grid, ...]
    low: str
    high: str
    looks: frozenset[str]


class HeatMap(NamedTuple):
    """The maps of a file by every measure, and what was left out of them, in words."""

    maps: tuple[Map, ...]
    left_out: str = ""


#: What a cell shows in place of a number: its text and its class.
_WORDS = {
    "missing": ("none", "gone"),
    "same": ("=", "same"),
    "other": ("≠", "odd"),
    "left": ("A", "left"),
    "right": ("B", "right"),
}
_NOTHING = Cell("", "")


def heat_map(
    points: Sequence[Point], measures: Iterable[Measure], first_roles: Sequence[str], room: Room
) -> HeatMap | None:
    """Return the maps of the tensors; ``None`` if no measure has a number.

    Args:
        points: the tensors, in their order.
        measures: what can be shown; those without any number are left out.
        first_roles: roles that come first, in this order.
        room: of all maps of the page.
    """
    layout = _Layout(points, first_roles)
    maps = []
    short = False
    for measure in measures:
        known = [point.values.get(measure.key) for point in points]
        if not any(isinstance(value, float) for value in known):
            continue
        drawn = _map(measure, layout)
        if not room.take(_cost(drawn)):
            short = True
            break
        maps.append(drawn)
    if not maps and not short:
        return None
    told = [layout.left_out()] if layout.left_out() else []
    told += ["maps that do not fit into the page"] if short else []
    return HeatMap(tuple(maps), " and ".join(told))


class _Layout:
    """Which group, row and column each tensor has, for all measures."""

    def __init__(self, points: Sequence[Point], first_roles: Sequence[str]) -> None:
        groups: dict[tuple[str, bool], dict[str, dict[int, Point]]] = {}
        seen: dict[tuple[str, int | None, str], int] = {}
        for point in points:
            key = (point.group, point.block, point.role)
            seen[key] = seen.get(key, 0) + 1
            # of two for one cell none is hidden: the second has a row of its own
            role = point.role if seen[key] == 1 else f"{point.role} [{seen[key]}]"
            place = groups.setdefault((point.group, point.block is not None), {})
            place.setdefault(role, {})[point.block or 0] = point
        order = {role: at for at, role in enumerate(first_roles)}
        self._hidden = {"group": max(0, len(groups) - _MOST_GROUPS), "role": 0, "block": 0}
        self.groups = []
        for (group, stacked), roles in list(groups.items())[:_MOST_GROUPS]:
            blocks = sorted({block for row in roles.values() for block in row})
            rows = sorted(roles.items(), key=lambda row: order.get(row[0], len(order)))
            self._hidden["role"] += max(0, len(rows) - _MOST_ROLES)
            self._hidden["block"] += max(0, len(blocks) - _MOST_BLOCKS)
            title = name(group) if stacked else f"{name(group)}, outside of blocks"
            shown = tuple(blocks[:_MOST_BLOCKS]) if stacked else ()
            self.groups.append((title, shown, rows[:_MOST_ROLES]))

    def left_out(self) -> str:
        """Return what is not drawn, in words."""
        return ", ".join(count(left, noun) for noun, left in self._hidden.items() if left)


def _map(measure: Measure, layout: _Layout) -> Map:
    shown = [
        point.values.get(measure.key)
        for _, _, rows in layout.groups
        for _, row in rows
        for point in row.values()
    ]
    scale = ramp.scale_of(value for value in shown if isinstance(value, float))
    grids = []
    for title, blocks, rows in layout.groups:
        lines = [
            Line(
                name(role),
                tuple(_cell(row.get(block), measure.key, scale) for block in blocks or (0,)),
            )
            for role, row in rows
        ]
        grids.append(Grid(title, blocks, tuple(lines)))
    ends = ("", "") if scale is None else (number(scale.low), number(scale.high))
    looks = frozenset(cell.look for grid in grids for line in grid.lines for cell in line.cells)
    return Map(measure, tuple(grids), *ends, looks)


def _cell(point: Point | None, key: str, scale: ramp.Scale | None) -> Cell:
    if point is None:
        return _NOTHING
    value = point.values.get(key)
    if value is None:
        return Cell("?", "unknown", point.anchor)
    if isinstance(value, str):
        text, look = _WORDS.get(value, (value, "odd"))
        return Cell(text, look, point.anchor)
    if not math.isfinite(value):
        return Cell(number(value), "odd", point.anchor)
    if value <= 0 or scale is None:
        return Cell(number(value, 2), "zero", point.anchor)
    return Cell(_brief(value), f"v{scale.step(value)}", point.anchor)


def _brief(value: float) -> str:
    """Return a number in five characters or so."""
    text = number(value, 2)
    return text[1:] if text.startswith("0.") else text


def _cost(drawn: Map) -> int:
    return sum(
        written(line.label) + 30 + sum(map(_cell_cost, line.cells))
        for grid in drawn.grids
        for line in grid.lines
    )


def _cell_cost(cell: Cell) -> int:
    link = len(cell.anchor) + 16 if cell.anchor else 0
    return 9 + (9 + len(cell.look) if cell.look else 0) + link + written(cell.text)
