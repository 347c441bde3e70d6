"""The table of tensors: a row each, with numbers to sort by and a small histogram."""

from __future__ import annotations

from typing import Callable, Iterable, NamedTuple, Sequence

from ckpttool.reports.html.room import Room, written
from ckpttool.reports.html.shown import Drawn


class Column(NamedTuple):
    """A column: its heading, and whether it has numbers."""

    head: str
    numeric: bool = False
    told: str = ""


class Row(NamedTuple):
    """A tensor: its name, the texts of the other columns, and its histogram."""

    name: str
    cells: tuple[str, ...]
    picture: Drawn
    anchor: str


class Tensors(NamedTuple):
    """The rows that fit, and how many more tensors there are."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    left_out: int
    pictures: bool


def table_of(
    columns: Sequence[Column],
    number: int,
    row_of: Callable[[int], Row],
    first: Iterable[int],
    room: Room,
) -> Tensors:
    """Return the table of as many rows as fit, in their order.

    Args:
        columns: those after the name.
        number: of the tensors.
        row_of: makes the row of a tensor.
        first: tensors that findings are about: they are taken before the others.
        room: of all tables of the page.
    """
    order = dict.fromkeys([*first, *range(number)])
    # made as they are asked for: there may be many more than fit
    rows = room.fitting(((at, row_of(at)) for at in order), lambda pair: _cost(pair[1]))
    kept = tuple(row for _, row in sorted(rows, key=lambda pair: pair[0]))
    return Tensors(tuple(columns), kept, number - len(kept), any(row.picture for row in kept))


def _cost(row: Row) -> int:
    cells = sum(written(text) + 9 for text in row.cells)
    return 40 + written(row.name) + 40 + cells + len(row.picture)
