"""What is in the way of a proof, as text: what is unexplained, and what is missing."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Sequence, Union

from rich.text import Text

from ckpttool.findings.names import summarise
from ckpttool.findings.text import printable
from ckpttool.proof.result import Unexplained
from ckpttool.reports.terminal import diff_numbers as numbers
from ckpttool.reports.terminal.page import BAD, styled
from ckpttool.reports.terminal.table import Column, write_table

if TYPE_CHECKING:
    from ckpttool.proof.result import AdapterPart, Differing, Missing
    from ckpttool.reports.terminal.page import Page

_SHOWN = 40  # lines of a list, before the rest is counted
_ROWS = 20  # the same of a table
_FEW = 3  # tensors that are told in sentences, before a table is shorter
_LONG = 4000  # characters of names in a line

_COLUMNS = (
    Column("tensor", "tensor", right=False),
    Column("shape", "shape", right=False, need=1),
    Column("elements", "elements", need=2),
    Column("largest difference", "max. diff.", need=3),
)


def write_reasons(page: Page, title: str, parts: Sequence[Union[Unexplained, AdapterPart]]) -> None:
    """Write the names of what is in a proof's way, by reasons; nothing if there is nothing."""
    if not parts:
        return
    page.blank()
    page.line(Text(title, style="bold"), 2)
    tables: dict[str, list[tuple[Unexplained, Differing]]] = {}
    for one in parts:
        if isinstance(one, Unexplained) and one.differing is not None:
            tables.setdefault(one.differing.other, []).append((one, one.differing))
    tables = {other: rows for other, rows in tables.items() if len(rows) > _FEW}
    tabled = {id(one) for rows in tables.values() for one, _ in rows}
    groups: dict[str, list[str]] = {}
    for one in parts:
        if id(one) not in tabled:
            groups.setdefault(one.reason, []).append(one.name)
    _write_sentences(page, groups)
    for other, rows in tables.items():
        _write_table(page, other, rows)


def _write_sentences(page: Page, groups: dict[str, list[str]]) -> None:
    for reason, names in list(groups.items())[:_SHOWN]:
        text = styled(f"{page.sign(BAD)} ", "red")
        shown = [name for name in names if name]  # what is said of an adapter may have no name
        if shown:
            text.append(printable(summarise(shown, _SHOWN), _LONG), "bold")
            text.append(": ")
        page.line(text.append(printable(reason, _LONG)), 4, 8)
    if len(groups) > _SHOWN:
        rest = sum(map(len, list(groups.values())[_SHOWN:]))
        page.line(Text(f"and {rest:,} more (--format json lists all)"), 4)


def _write_table(page: Page, other: str, rows: list[tuple[Unexplained, Differing]]) -> None:
    """Write what differs from the same thing, the largest difference first."""
    rows.sort(key=lambda row: -(inf if row[1].largest is None else row[1].largest))
    page.line(Text(f"{len(rows):,} differ from {printable(other)}:"), 4, 6)
    cells = [
        [
            Text(printable(one.name)),
            Text("" if one.shape is None else str(list(one.shape))),
            Text(numbers.elements(differing.changed, differing.elements)),
            Text("" if differing.largest is None else numbers.number(differing.largest, 3)),
        ]
        for one, differing in rows[:_ROWS]
    ]
    write_table(page, _COLUMNS, cells, [styled(page.sign(BAD), "red")] * len(cells), 4)
    if len(rows) > _ROWS:
        page.line(Text(f"and {len(rows) - _ROWS:,} more (--format json lists all)"), 4)


def write_missing(page: Page, chosen: Sequence[Missing], title: str) -> None:
    """Write the tensors of A that nothing of B was made of; nothing if there are none."""
    if not chosen:
        return
    page.blank()
    page.line(Text(title, style="bold"), 2)
    alone = [one.name for one in chosen if one.same_as is None]
    if alone:
        page.line(Text(printable(summarise(alone, _SHOWN), _LONG)), 4, 6)
    ties = [f"{one.name} (the same tensor as {one.same_as})" for one in chosen if one.same_as]
    for tie in ties[:_SHOWN]:
        page.line(Text(printable(tie, _LONG)), 4, 6)
    if len(ties) > _SHOWN:
        page.line(Text(f"and {len(ties) - _SHOWN:,} more"), 4)
