"""The tensors of a file as a table: a tree of their names, with sizes and shares."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Sequence

from rich.text import Text

from ckpttool.findings.text import count, printable, rounded, size
from ckpttool.reports.terminal.branches import Branch, branches
from ckpttool.reports.terminal.page import SHADES, styled

if TYPE_CHECKING:
    from ckpttool.findings.listing import Listing
    from ckpttool.reports.terminal.page import Page
    from ckpttool.reports.terminal.view import TreeView

_MOST = 2_000  # lines of the tree; a model of a thousand different blocks has fewer
_WIDEST = 60  # columns of names; a longer name moves only the rest of its own line
_GAP = 2
_PERCENT = len("100.0 %")
_BAR = 10  # cells of a bar that is full
_FULL = SHADES[-1]


class _Row(NamedTuple):
    """A line of the table: its cells, and the part of all bytes that it stands for."""

    branch: Branch
    name: str
    kind: str
    parameters: str
    size: str
    share: float | None


def write_tensors(page: Page, listing: Listing, view: TreeView) -> None:
    """Write the tensors of a file as a tree."""
    lines = list(islice(branches(listing.tensors, view), _MOST))
    if not lines:
        return
    page.blank()
    total = sum(row.nbytes for row in listing.tensors)
    rows = [_row(branch, total) for branch in lines]
    _write_table(page, rows)
    shown = sum(branch.times * (branch.hidden + (branch.leaf is not None)) for branch in lines)
    _write_rest(page, len(listing.tensors) - shown, "--format json lists all")
    _write_rest(page, listing.left_out, "that --include leaves out")


def _write_rest(page: Page, number: int, why: str) -> None:
    if number > 0:
        page.line(Text(f"and {count(number, 'more tensor')} ({why})"), 4, 6)


def _row(branch: Branch, total: int) -> _Row:
    each = " each" if branch.is_of_each else ""
    # a tensor in a module is a part of that module's share
    has_share = total and (branch.leaf is None or not branch.depth)
    return _Row(
        branch,
        "  " * branch.depth + printable(branch.label),
        _kind(branch),
        rounded(branch.alike * branch.parameters),
        f"{size(branch.alike * branch.nbytes)}{each}",
        branch.times * branch.nbytes / total if has_share else None,
    )


def _kind(branch: Branch) -> str:
    leaf = branch.leaf
    text = f"{leaf.dtype} {list(leaf.shape)}" if leaf else count(branch.tensors, "tensor")
    if leaf and branch.hidden:
        text = f"{text} and {count(branch.hidden, 'tensor')}"
    return f"{branch.alike:,} x {text}" if branch.alike > 1 else text


def _write_table(page: Page, rows: Sequence[_Row]) -> None:
    """Write the rows with as many columns as there is room for; without, facts below names."""
    names = min(max(len(row.name) for row in rows), _WIDEST)
    kinds = max(len(row.kind) for row in rows)
    # "each" stands behind numbers of one width
    each = len(" each") if any(row.branch.is_of_each for row in rows) else 0
    sizes = max(len(row.size) + (0 if row.branch.is_of_each else each) for row in rows)
    numbers = max(len("parameters"), *(len(row.parameters) for row in rows))
    least = _GAP + names + _GAP + kinds + _GAP + sizes
    room = None if page.width is None else page.width - least
    if room is not None and room < 0:
        _write_narrow(page, rows)
        return
    with_numbers = room is None or room >= _GAP + numbers
    room = None if room is None else room - with_numbers * (_GAP + numbers)
    with_share = room is None or room >= _GAP + _PERCENT
    bar = _BAR if room is None else max(min(room - _GAP - _PERCENT - 1, _BAR), 0)
    head = f"{'':{names}}  {'':{kinds}}  "
    head += f"{'parameters':>{numbers}}  " if with_numbers else ""
    head += f"{'bytes':>{sizes - each}}{'':{each}}"
    head += f"  {'share':>{_PERCENT}}" if with_share else ""
    page.line(styled(head, "dim"), 2)
    for row in rows:
        text = styled(row.name.ljust(names), "" if row.branch.leaf else "bold")
        text.append(f"  {row.kind.ljust(kinds)}  ")
        if with_numbers:
            text.append(f"{row.parameters:>{numbers}}  ")
        text.append((row.size if row.branch.is_of_each else row.size + " " * each).rjust(sizes))
        if with_share and row.share is not None:
            text.append(f"  {_percent(row.share)}")
            text.append(f" {page.sign(_FULL) * round(row.share * bar)}", "cyan")
        page.line(text, 2)


def _percent(share: float) -> str:
    number = "<0.1" if 0 < share < 0.0005 else f"{100 * share:.1f}"
    return f"{number:>5} %"


def _write_narrow(page: Page, rows: Sequence[_Row]) -> None:
    for row in rows:
        page.line(styled(row.name, "" if row.branch.leaf else "bold"), 2)
        share = "" if row.share is None else f", {_percent(row.share).strip()}"
        text = f"{row.kind}, {row.size}{share}"
        page.line(styled(text, "dim"), 6 + 2 * row.branch.depth)
