"""What lies in a file beside its tensors: entries with their values, and names in its pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, Iterator

from rich.text import Text

from ckpttool.findings.text import count, printable, size
from ckpttool.reports.terminal.page import DOUBTFUL, styled

if TYPE_CHECKING:
    from ckpttool.findings.listing import EntryRow, Listing, SettingRow
    from ckpttool.reports.terminal.page import Page

_SHOWN = 40  # lines of a list beside the tensors, before the rest is counted
_WIDEST = 34  # columns of keys; a longer one moves only the rest of its own line

# Kinds of entries whose summary is their value.
_VALUES = frozenset({"NoneType", "bool", "bytearray", "bytes", "float", "int", "str"})

# What a pickle uses a name for, the most severe first: its mark, its style and words.
_KINDS = {
    "attack": (DOUBTFUL, "bold red", " (called, and known from attacks)"),
    "call": (DOUBTFUL, "bold red", " (called)"),
    "class": (" ", "yellow", " (a class that loading needs)"),
    "trusted": (" ", "", " (called, and trusted)"),
    "named": (" ", "yellow", " (never called)"),
    "data": (" ", "", ""),
}


def write_beside(page: Page, listing: Listing) -> None:
    """Write the entries beside the tensors, each with its value and what is set in it."""
    lines = list(_lines(listing))
    if not lines:
        return
    page.blank()
    page.line(Text("beside the tensors", style="bold"), 2)
    hang = 6 + min(max(len(key) for key, _ in lines[:_SHOWN]), _WIDEST)
    for key, text in lines[:_SHOWN]:
        page.row(key, Text(text), 4, hang)
    _write_rest(page, len(lines) - _SHOWN)


def _lines(listing: Listing) -> Iterator[tuple[str, str]]:
    """Yield the key and the words of each entry, and below it those of each setting in it."""
    inside: dict[str, list[SettingRow]] = {entry.key: [] for entry in listing.entries}
    for setting in listing.settings:
        if setting.key not in inside:  # those that are entries are on their own line
            inside.setdefault(_entry_of(setting.key, inside), []).append(setting)
    for entry in listing.entries:
        yield printable(entry.key), _words(entry)
        for setting in inside[entry.key]:
            below = setting.key[len(entry.key) + 1 :]
            yield f"  {printable(below)}", _value(setting.value)


def _entry_of(key: str, entries: Iterable[str]) -> str:
    """Return the longest beginning of a dotted key that is an entry."""
    while key and key not in entries:
        key = key.rpartition(".")[0]
    return key


def _words(entry: EntryRow) -> str:
    if entry.kind in _VALUES:
        return printable(entry.summary)
    told = [printable(entry.kind), printable(entry.summary)]
    if entry.tensors and entry.kind != "tensor":
        told.append(count(entry.tensors, "tensor"))
    if entry.nbytes:
        told.append(size(entry.nbytes))
    elif entry.tensors:
        told.append("whose bytes are counted already")
    return ", ".join(filter(None, told))


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    return printable(repr(value) if isinstance(value, str) else str(value))


def write_unread(page: Page, listing: Listing) -> None:
    """Write the tensors of a kind that is not read."""
    if not listing.unread:
        return
    page.blank()
    page.line(Text("not read", style="bold"), 2)
    for row in listing.unread[:_SHOWN]:
        text = f"{printable(row.name)}: {printable(row.reason)}"
        page.line(Text(text + (f": {printable(row.text)}" if row.text else "")), 4, 6)
    _write_rest(page, len(listing.unread) - _SHOWN)


def write_names(page: Page, listing: Listing) -> None:
    """Write the names that a pickle refers to, the most severe first."""
    if not listing.references:
        return
    page.blank()
    page.line(Text("names in the pickle", style="bold"), 2)
    # so that a long list does not hide them
    names = sorted(listing.references, key=lambda reference: list(_KINDS).index(reference.kind))
    for reference in names[:_SHOWN]:
        mark, style, words = _KINDS[reference.kind]
        page.line(styled(f"{mark} {printable(reference.name)}{words}", style), 2, 6)
    _write_rest(page, len(names) - _SHOWN)


def _write_rest(page: Page, number: int) -> None:
    """Write how many are not shown, if any are."""
    if number > 0:
        page.line(Text(f"and {number:,} more (--format json lists all)"), 4, 6)
