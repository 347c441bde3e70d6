"""What became of every file of a folder, for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Sequence

from rich.text import Text

from ckpttool.findings.inventory import Item, Standing, kinds, named, of
from ckpttool.findings.text import printable
from ckpttool.reports.terminal.page import styled

if TYPE_CHECKING:
    from ckpttool.reports.terminal.page import Page

# Columns before the text of a line.
_HANG = 18
# Files of one kind that are named before the rest is counted.
_SHOWN = 20

#: Each standing as people read it, those that are told of in full first.
LABELS = {
    Standing.KNOWN: "known",
    Standing.TRAINING: "training state",
    Standing.PART: "parts",
    Standing.SAME: "twice",
    Standing.EXCLUDED: "excluded",
    Standing.UNSEEN: "not looked at",
}


def write_inventory(page: Page, inventory: Sequence[Item]) -> None:
    """Write what there is beside the checkpoints: by kind what is known, by name what is not."""
    page.line(styled("other files", "bold"))
    for standing, label in LABELS.items():
        ours = of(inventory, standing)
        if not ours:
            continue
        if standing is Standing.KNOWN:
            page.row(label, Text(kinds(ours)), 2, _HANG)
        elif len(ours) > _SHOWN:
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
