"""A table that fits the terminal: it gives up titles, then the start of names, then columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Sequence

from rich.cells import cell_len
from rich.text import Text

from ckpttool.reports.terminal.page import styled

if TYPE_CHECKING:
    from ckpttool.reports.terminal.page import Page

_GAP = 2  # columns of the terminal between two of the table
_ROOMY = 32  # what the first column keeps before others are left out ...
_TIGHT = 8  # ... and what it keeps before the last of them is
_LAST = 2  # columns that are left then


class Column(NamedTuple):
    """A column.

    Attributes:
        title: what stands above it.
        short: the same where there is little room.
        right: whether it is set flush right, as numbers are.
        need: which columns are left out first where there is no room: those of the lowest number.
    """

    title: str
    short: str
    right: bool = True
    need: int = 0


def write_table(
    page: Page,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Text]],
    signs: Sequence[Text],
    indent: int,
) -> None:
    """Write a table; its first column holds names, which lose their start where they must.

    Args:
        page: where to.
        columns: the first one is always shown. A column without any text is left out.
        rows: a text for each column, escaped.
        signs: one of one column for each row, which stands before it.
        indent: columns of the terminal before each line.
    """
    used = [
        place
        for place in range(len(columns))
        if place == 0 or any(row[place].plain for row in rows)
    ]
    room = None if page.width is None else page.width - indent - 2
    chosen, titles, widths = _fitted(columns, rows, used, room)
    head = [styled(title, "dim") for title in titles]
    cells = (head, *([row[place] for place in chosen] for row in rows))
    for sign, row in zip((Text(" "), *signs), cells):
        line = sign + Text(" ")
        for place, (cell, width) in enumerate(zip(row, widths)):
            line.append(" " * _GAP if place else "")
            line.append_text(_set(cell, width, columns[chosen[place]].right))
        line.rstrip()
        page.line(line, indent, indent + _GAP)


def _fitted(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Text]],
    used: list[int],
    room: int | None,
) -> tuple[list[int], list[str], list[int]]:
    """Return the columns that are shown, their titles and their widths."""
    chosen = list(used)
    while True:
        for short in (False, True):
            titles = [columns[place].short if short else columns[place].title for place in chosen]
            widths = _widths(rows, chosen, titles)
            # the last number is kept, however short the names become for it
            tight = short and len(chosen) == _LAST
            if room is None or _narrowed(widths, room, _TIGHT if tight else _ROOMY):
                return chosen, titles, widths
        if len(chosen) == 1:
            return chosen, titles, widths
        chosen.remove(min(chosen[1:], key=lambda place: columns[place].need))


def _widths(
    rows: Sequence[Sequence[Text]], chosen: Sequence[int], titles: Sequence[str]
) -> list[int]:
    return [
        max([len(title), *(cell_len(row[place].plain) for row in rows)])
        for place, title in zip(chosen, titles)
    ]


def _narrowed(widths: list[int], room: int, least: int) -> bool:
    """Make the first column as narrow as it takes; whether it is as wide as asked for then."""
    natural, rest = widths[0], room - sum(_GAP + width for width in widths[1:])
    widths[0] = max(min(natural, rest), 1)
    return rest >= min(natural, least)


def _set(cell: Text, width: int, right: bool) -> Text:
    length = cell_len(cell.plain)
    if length > width:
        return _ending(cell, width)
    space = Text(" " * (width - length))
    return space + cell if right else cell + space


def _ending(cell: Text, width: int) -> Text:
    """Return the end of a name, which says more than its start."""
    kept = len(cell)
    while kept and cell_len(cell.plain[-kept:]) > width - 1:
        kept -= 1
    return styled("~", "dim") + cell[len(cell) - kept :]
