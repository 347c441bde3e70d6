"""A tree with sizes: names, what they are, parameters, bytes, and shares as bars.

On a terminal columns that have no room are left out, the bars first; where even names and sizes
have none, what belongs to a name stands below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Sequence

from rich.text import Text

from ckpttool.reports.terminal.cells import columns, padded
from ckpttool.reports.terminal.page import SHADES, styled

if TYPE_CHECKING:
    from ckpttool.reports.terminal.page import Page

_WIDEST = 60  # columns of names; a longer name moves only the rest of its own line
_GAP = 2
_PERCENT = len("100.0 %")
_BAR, _LEAST_BAR = 10, 5  # cells of a bar that is full, and those below which there is none
_FULL = SHADES[-1]
_EACH = " each"


class SizeRow(NamedTuple):
    """A line of the table; all texts are escaped.

    Attributes:
        depth: 0 for the outermost.
        name, what, parameters, size: the cells; empty ones stay so.
        share: of all bytes; ``None`` to show none.
        each: whether the sizes are those of one of several.
        style: of the name.
    """

    depth: int
    name: str
    what: str
    parameters: str
    size: str
    share: float | None = None
    each: bool = False
    style: str = ""

    @property
    def indented(self) -> str:
        """The name at its depth."""
        return "  " * self.depth + self.name


class _Widths(NamedTuple):
    """Columns of the cells; 0 for one that is left out. ``each`` is a part of ``sizes``."""

    names: int
    what: int
    parameters: int
    sizes: int
    each: int
    share: int
    bar: int


def write_table(page: Page, rows: Sequence[SizeRow]) -> None:
    """Write the rows with as many columns as there is room for; without, facts below names."""
    if not rows:  # a folder of which no file could be listed
        return
    widths = _widths(rows, page.width)
    if widths is None:
        for row in rows:
            _write_narrow(page, row)
        return
    page.line(styled(_head(widths), "dim"), 2)
    for row in rows:
        page.line(_line(page, row, widths), 2)


def _widths(rows: Sequence[SizeRow], width: int | None) -> _Widths | None:
    names = min(max(columns(row.indented) for row in rows), _WIDEST)
    what = max(columns(row.what) for row in rows)
    numbers = max(len("parameters"), *(len(row.parameters) for row in rows))
    # "each" stands behind numbers of one width
    each = len(_EACH) if any(row.each for row in rows) else 0
    sizes = max(len("bytes"), *(len(row.size) for row in rows)) + each
    if width is None:
        return _Widths(names, what, numbers, sizes, each, _PERCENT, _BAR)
    room = width - (2 + names + _GAP + what + _GAP + sizes)
    if room < 0:
        return None
    parameters = numbers if room >= _GAP + numbers else 0
    room -= _GAP + numbers if parameters else 0
    share = _PERCENT if room >= _GAP + _PERCENT else 0
    bar = min(room - _GAP - _PERCENT - 1, _BAR) if share else 0
    return _Widths(names, what, parameters, sizes, each, share, bar if bar >= _LEAST_BAR else 0)


def _head(widths: _Widths) -> str:
    parameters = f"{'parameters':>{widths.parameters}}  " if widths.parameters else ""
    share = f"  {'share':>{widths.share}}" if widths.share else ""
    size = f"{'bytes':>{widths.sizes - widths.each}}{' ' * widths.each}"
    return f"{' ' * widths.names}  {' ' * widths.what}  {parameters}{size}{share}"


def _line(page: Page, row: SizeRow, widths: _Widths) -> Text:
    text = styled(padded(row.indented, widths.names), row.style)
    text.append(f"  {padded(row.what, widths.what)}  ")
    if widths.parameters:
        text.append(f"{row.parameters:>{widths.parameters}}  ")
    each = _EACH if row.each else " " * widths.each
    text.append(f"{row.size}{each}".rjust(widths.sizes))
    if widths.share and row.share is not None:
        text.append(f"  {percent_of(row.share).rjust(widths.share)}")
        text.append(f" {page.sign(_FULL) * round(row.share * widths.bar)}", "cyan")
    return text


def percent_of(share: float) -> str:
    """Return a share from 0 to 1 in a few characters; 0 and 100 are of nothing and all alone."""
    text = f"{100 * share:.1f} %"
    if text == "0.0 %" and share:
        return "<0.1 %"
    return ">99.9 %" if text == "100.0 %" and share < 1 else text


def _write_narrow(page: Page, row: SizeRow) -> None:
    page.line(styled(row.indented, row.style), 2)
    each = _EACH if row.each else ""
    share = "" if row.share is None else percent_of(row.share).replace(" ", "")  # one word
    facts = ", ".join(filter(None, (row.what, row.size and f"{row.size}{each}", share)))
    if facts:
        page.line(styled(facts, "dim"), 4 + 2 * row.depth)
