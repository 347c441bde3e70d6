"""What differs beside the tensors, as text: values one by one, keys of one side as ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

from rich.text import Text

from ckpttool.findings.names import summarise
from ckpttool.findings.text import printable

if TYPE_CHECKING:
    from ckpttool.comparison.result import StateDiff
    from ckpttool.reports.terminal.page import Page

_SHOWN = 20  # entries, before the rest is counted
_FEW = 6  # keys of one side that are shown with their values
_VALUE = 60  # characters of one value
_LONG = 4000  # characters of keys in a line


def write_state(page: Page, state: Sequence[StateDiff]) -> None:
    """Write the entries that differ."""
    if not state:
        return
    page.blank()
    page.line(Text("values beside the weights", style="bold"), 2)
    left = [one.key for one in state if one.right is None]
    right = [one.key for one in state if one.left is None]
    lists = [(side, keys) for side, keys in (("left", left), ("right", right)) if len(keys) > _FEW]
    folded = {key for _, keys in lists for key in keys}
    shown = [one for one in state if one.key not in folded]
    for entry in shown[:_SHOWN]:
        one, other = values(entry)
        page.line(Text(f"{printable(entry.key)}: {one} -> {other}"), 4, 8)
    if len(shown) > _SHOWN:
        page.line(Text(f"and {len(shown) - _SHOWN:,} more (--format json lists all)"), 4)
    for side, keys in lists:
        page.line(Text(f"only in the {side} file: {printable(summarise(keys), _LONG)}"), 4, 8)


def values(entry: StateDiff) -> tuple[str, str]:
    """Return both values, shortened so that what differs is shown."""
    left, right = ("absent" if value is None else value for value in (entry.left, entry.right))
    shown = printable(left, _VALUE), printable(right, _VALUE)
    if shown[0] != shown[1]:
        return shown
    # what differs was cut out, so show the piece around it instead
    differs = (place for place, pair in enumerate(zip(left, right)) if pair[0] != pair[1])
    start = next(differs, 0) - _VALUE // 2
    first, second = (f"...{printable(text[start:][:_VALUE])}..." for text in (left, right))
    return first, second


def entries_differ(number: int) -> str:
    """Say how many entries differ."""
    return "1 value differs" if number == 1 else f"{number:,} values differ"
