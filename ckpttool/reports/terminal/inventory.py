"""The other files of a folder, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Sequence

from rich.text import Text

from ckpttool.findings.inventory import Item, Standing, kinds, named, of
from ckpttool.findings.text import printable
from ckpttool.reports.terminal.page import styled

if TYPE_CHECKING:
    from ckpttool.reports.terminal.page import Page

_HANG = 18  # columns before the text of a line: the indent, the longest label and a gap
_SHOWN = 20  # files of one kind that are named before the rest is counted

#: The label of each standing, in the order of the report.
LABELS = {
    Standing.KNOWN: "known",
    Standing.TRAINING: "training state",
    Standing.PART: "parts",
    Standing.SAME: "twice",
    Standing.EXCLUDED: "excluded",
    Standing.UNSEEN: "not looked at",
}


def write_inventory(page: Page, inventory: Sequence[Item]) -> None:
    """Write the files beside the checkpoints: known ones by kind, the others by name."""
    page.line(styled("other files", "bold"))
    for standing, label in LABELS.items():
        ours = of(inventory, standing)
        if not ours:
            continue
        if standing is Standing.KNOWN:
            page.row(label, Text(kinds(ours)), 2, _HANG)
        elif len(ours) > _SHOWN:  # as ranges, for a folder of a thousand shards
            page.row(label, Text(named(ours)), 2, _HANG)
        else:
            _write_lines(page, label, (f"{printable(i.path)}: {printable(i.what)}" for i in ours))
    links = [item for item in inventory if item.link is not None]
    _write_lines(
        page, "links", (f"{printable(i.path)} leads to {printable(i.link or '')}" for i in links)
    )


def _write_lines(page: Page, label: str, lines: Iterable[str]) -> None:
    every = list(lines)
    for line in every[:_SHOWN]:
        page.row(label, Text(line), 2, _HANG)
    if len(every) > _SHOWN:
        page.row("", Text(f"and {len(every) - _SHOWN:,} more (--format json lists all)"), 2, _HANG)
