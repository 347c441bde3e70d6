"""What a file holds, as text: the container, the tensors as a tree, and what else is there."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Iterable, TextIO

from rich.text import Text

from ckpttool.findings.finding import Verdict
from ckpttool.findings.inventory import account
from ckpttool.findings.text import count, printable, size, some_of
from ckpttool.reports.terminal.branches import Branch, branches
from ckpttool.reports.terminal.counts import counts
from ckpttool.reports.terminal.diagnosis import write_diagnosis
from ckpttool.reports.terminal.findings import write_findings, write_verdict
from ckpttool.reports.terminal.inventory import write_inventory
from ckpttool.reports.terminal.page import DOUBTFUL, TOLD, Page, styled
from ckpttool.reports.terminal.view import TreeView

if TYPE_CHECKING:
    from ckpttool.findings.listing import Listing, Listings, Neighbour
    from ckpttool.findings.results import FileReport

_WIDEST = 60  # columns of names; a longer name moves only the rest of its own line
_LONG = 600  # characters of a sentence with names of the file in it
_SHOWN = 40  # lines of a list beside the tensors, before the rest is counted

# What a pickle uses a name for, the gravest first: its mark, its style and words.
_KINDS = {
    "attack": (DOUBTFUL, "bold red", " (called, and known from attacks)"),
    "call": (DOUBTFUL, "bold red", " (called)"),
    "class": (" ", "yellow", " (a class that loading needs)"),
    "trusted": (" ", "", " (called, and trusted)"),
    "named": (" ", "yellow", " (never called)"),
    "data": (" ", "", ""),
}
_MOST = 2_000  # lines of the tree; a model of a thousand different blocks has fewer


def write(listings: Listings, stream: TextIO, view: TreeView = TreeView()) -> None:  # noqa: B008 (a constant)
    """Write what every file holds."""
    page = Page(stream)
    for number, listing in enumerate(listings.files):
        if number:
            page.blank()
        page.line(Text(printable(listing.file.path), style="bold"), 0, 2)
        if listing.file.format is not None:
            _write_facts(page, listing)
            _write_tensors(page, listing, view)
            _write_others(page, listing)
        if listing.file.findings:
            page.blank()
            write_findings(page, listing.file.findings)
            page.blank()
            _write_end(page, listing.file)
    if listings.inventory:
        page.blank()
        write_inventory(page, listings.inventory)
        page.blank()
        page.line(
            Text(f"{count(len(listings.files), 'file')} listed; {account(listings.inventory)}")
        )


def _write_end(page: Page, file: FileReport) -> None:
    """Write the last line on a file."""
    if file.verdict is not Verdict.PASS:
        write_verdict(page, file)
        return
    # not PASS, as the weights were not looked at
    text = styled(f"{page.sign(TOLD)} LISTED", "bold cyan")
    text.append(f" {printable(file.path)}: {counts(file.findings)}. Only headers were read.")
    page.line(text, 0, 2)


def _write_facts(page: Page, listing: Listing) -> None:
    file = listing.file
    page.row("container", Text(f"{file.format}, {size(file.size or 0)}"))
    if listing.wrappers:
        taken, *others = listing.wrappers
        text = _key(taken.key)
        if others:
            also = [f"{_key(one.key)} ({count(one.tensors, 'tensor')})" for one in others]
            text += f"; not listed: {some_of(also, _SHOWN)} (choose with --wrapper)"
        page.row("wrapper", Text(text))
        if taken.module is not None:
            page.row("whole module", Text(printable(taken.module)))
    page.row("layout", Text(file.layout or "not recognised"))
    if file.diagnosis is not None:
        write_diagnosis(page, file.diagnosis)
    elif listing.neighbour:
        _write_neighbour(page, listing.neighbour)
    page.row("tensors", Text(_totals(listing)))
    for key, value in list(listing.metadata.items())[:_SHOWN]:
        page.row("metadata", Text(f"{printable(key)} = {printable(value)}"))


def _write_neighbour(page: Page, neighbour: Neighbour) -> None:
    page.row("model", Text(printable(f"{neighbour.what}, told {neighbour.told_by}", _LONG)))
    if neighbour.use:
        page.row("", Text(neighbour.use))


def _key(key: str) -> str:
    return printable(key) if key else "none (the root)"


def _totals(listing: Listing) -> str:
    by_type: dict[str, int] = {}
    for row in listing.tensors:
        by_type[row.dtype] = by_type.get(row.dtype, 0) + row.nbytes
    types = ", ".join(f"{size(nbytes)} of {dtype}" for dtype, nbytes in by_type.items())
    text = f"{len(listing.tensors):,}, {count(listing.file.parameters or 0, 'parameter')}"
    text = f"{text}, {types}" if types else text
    if listing.tied:
        again = {name for group in listing.tied for name in group[1:]}
        nbytes = sum(row.nbytes for row in listing.tensors if row.name in again)
        text += f"; {size(nbytes)} of it under {count(len(again), 'name')} tied to others"
    return text


def _write_tensors(page: Page, listing: Listing, view: TreeView) -> None:
    lines = list(islice(branches(listing.tensors, fold=view.fold), _MOST))
    if not lines:
        return
    page.blank()
    cells = [
        (
            "  " * branch.depth + printable(branch.label),
            _kind(branch),
            size(branch.alike * branch.nbytes),
        )
        for branch in lines
    ]
    names = min(max(len(label) for label, _, _ in cells), _WIDEST)
    kinds = max(len(kind) for _, kind, _ in cells)
    totals = max(len(nbytes) for _, _, nbytes in cells)
    # on a narrow terminal the facts go below the name
    beside = page.width is None or 2 + names + 2 + kinds + 2 + totals <= page.width
    for branch, (label, kind, nbytes) in zip(lines, cells):
        style = "" if branch.leaf else "bold"
        if beside:
            text = styled(label.ljust(names), style)
            page.line(text.append(f"  {kind.ljust(kinds)}  {nbytes.rjust(totals)}"), 2)
        else:
            page.line(Text(label, style=style), 2)
            page.line(Text(f"{kind}, {nbytes}", style="dim"), 6 + 2 * branch.depth)
    shown = sum(branch.times for branch in lines if branch.leaf)
    _write_rest(page, len(listing.tensors) - shown, "tensor")


def _kind(branch: Branch) -> str:
    leaf = branch.leaf
    text = f"{leaf.dtype} {list(leaf.shape)}" if leaf else count(branch.tensors, "tensor")
    return f"{branch.alike:,} x {text}" if branch.alike > 1 else text


def _write_others(page: Page, listing: Listing) -> None:
    _write_list(
        page,
        "tensors outside of the state dict",
        (
            f"{printable(key) or 'the root'}: {count(tensors, 'tensor')}, {size(nbytes)}"
            for key, tensors, nbytes, _ in listing.outside
        ),
    )
    _write_list(
        page,
        "beside the tensors",
        (
            f"{printable(entry.key)}: {printable(entry.kind)} {printable(entry.summary)}".rstrip()
            for entry in listing.entries
        ),
    )
    # those at the top are in the list above, with their values
    entries = {entry.key for entry in listing.entries}
    _write_list(
        page,
        "settings of the training run",
        (
            f"{printable(row.key)} = {_value(row.value)}"
            for row in listing.settings
            if row.key not in entries
        ),
    )
    _write_list(
        page,
        "not read",
        (
            f"{printable(row.name)}: {printable(row.reason)}"
            + (f": {printable(row.text)}" if row.text else "")
            for row in listing.unread
        ),
    )
    if listing.references:
        page.blank()
        page.line(Text("names in the pickle", style="bold"), 2)
    # the gravest first, so that a long list does not hide them
    names = sorted(listing.references, key=lambda reference: list(_KINDS).index(reference.kind))
    for reference in names[:_SHOWN]:
        mark, style, words = _KINDS[reference.kind]
        page.line(Text(f"{mark} {printable(reference.name)}{words}", style=style), 2, 6)
    _write_rest(page, len(names) - _SHOWN)


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    return printable(repr(value) if isinstance(value, str) else str(value))


def _write_list(page: Page, title: str, items: Iterable[str]) -> None:
    lines = list(items)
    if not lines:
        return
    page.blank()
    page.line(Text(title, style="bold"), 2)
    for line in lines[:_SHOWN]:
        page.line(Text(line), 4, 6)
    _write_rest(page, len(lines) - _SHOWN)


def _write_rest(page: Page, number: int, noun: str = "") -> None:
    """Write how many are not shown, if any are."""
    if number > 0:
        more = count(number, f"more {noun}") if noun else f"{number:,} more"
        page.line(Text(f"and {more} (--format json lists all)"), 4, 6)
