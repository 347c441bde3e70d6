"""The tensors of a file as a tree of their names, with sizes and shares."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Sequence

from rich.text import Text

from ckpttool.findings.text import count, printable, rounded, size
from ckpttool.reports.terminal.branches import Branch, branches
from ckpttool.reports.terminal.size_table import SizeRow, write_table

if TYPE_CHECKING:
    from ckpttool.findings.listing import Listing
    from ckpttool.findings.statistics import Statistics
    from ckpttool.reports.terminal.page import Page
    from ckpttool.reports.terminal.view import TreeView

_MOST = 2_000  # lines of the tree; a model of a thousand different blocks has fewer


def write_tensors(page: Page, listing: Listing, view: TreeView) -> None:
    """Write the tensors of a file as a tree."""
    statistics = listing.statistics
    every = statistics is not None
    lines = list(islice(branches(listing.tensors, view, every=every), _MOST))
    if not lines:
        return
    page.blank()
    if statistics is None:
        total = sum(row.nbytes for row in listing.tensors)
        write_table(page, [_row(branch, total) for branch in lines])
    else:
        _write_stats(page, lines, statistics)
    shown = sum(branch.times * (branch.hidden + (branch.leaf is not None)) for branch in lines)
    _write_rest(page, len(listing.tensors) - shown, "--format json lists all")
    _write_rest(page, listing.left_out, "that --include leaves out")


def _write_rest(page: Page, number: int, why: str) -> None:
    if number > 0:
        page.line(Text(f"and {count(number, 'more tensor')} ({why})"), 4, 6)


def _row(branch: Branch, total: int) -> SizeRow:
    # a tensor in a module is a part of that module's share
    has_share = total and (branch.leaf is None or not branch.depth)
    return SizeRow(
        branch.depth,
        printable(branch.label),
        _kind(branch),
        rounded(branch.alike * branch.parameters),
        size(branch.alike * branch.nbytes),
        branch.times * branch.nbytes / total if has_share else None,
        branch.is_of_each,
        "" if branch.leaf else "bold",
    )


def _write_stats(page: Page, lines: Sequence[Branch], statistics: Statistics) -> None:
    # late: few listings have any
    from ckpttool.reports.terminal.stats_table import StatsRow, together, write_stats

    by_name = {one.name: one for one in statistics.tensors}
    rows = []
    for branch in lines:
        found = [by_name[row.name] for row in branch.rows if row.name in by_name]
        numbers = together(found) if found else None
        rows.append(StatsRow(branch.depth, printable(branch.label), _kind(branch), numbers))
    write_stats(page, rows)


def _kind(branch: Branch) -> str:
    leaf = branch.leaf
    text = f"{leaf.dtype} {list(leaf.shape)}" if leaf else count(branch.tensors, "tensor")
    if leaf and branch.hidden:
        text = f"{text} and {count(branch.hidden, 'tensor')}"
    return f"{branch.alike:,} x {text}" if branch.alike > 1 else text
