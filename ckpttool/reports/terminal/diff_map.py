"""A map of a comparison: roles by blocks, one sign a cell, so that changes show at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, NamedTuple, Sequence, Tuple

from rich.text import Text

from ckpttool.comparison.result import DiffKind
from ckpttool.findings.text import count, printable
from ckpttool.reports.terminal.cells import columns, padded, start_of
from ckpttool.reports.terminal.page import SHADES, styled

if TYPE_CHECKING:
    from ckpttool.comparison.result import Comparison, TensorDiff
    from ckpttool.reports.terminal.cells import columns, padded, start_of
from ckpttool.reports.terminal.page import Page

# What is drawn at most; the rest is counted. Real models fit, a file of 100,000 stacks does not.
_MOST_GROUPS = 8
_MOST_ROLES = 16
_MOST_BLOCKS = 400
_MOST_OTHERS = 24
_LONGEST_ROLE = 16  # columns of a role's name, so that the blocks of ViT-L fit in 80


class Sign(NamedTuple):
    """What a cell shows: a character, its colour, what it means, and its weight."""

    character: str
    style: str
    meaning: str
    weight: int


# A letter or sign beside the colour, as colours are lost in a pipe and not seen by everybody. The
# weights: what has the same values first, then changed values, then what cannot be loaded.
IDENTICAL = Sign(".", "dim", "identical", 0)
_TOLERATED = Sign("~", "cyan", "within the tolerance", 1)
_CAST = Sign("c", "cyan", "equal after a cast", 2)
_MOVED = Sign("m", "cyan", "another prefix", 3)
_RENAMED = Sign("r", "cyan", "renamed", 4)
_UNKNOWN = Sign("?", "yellow", "not compared", 5)
# lighter than the shades: a bias that began at zero must not hide how far its weight has moved
_ZERO = Sign("0", "yellow", "zero on one side", 6)
_LEVELS = (
    (1e-3, Sign(SHADES[0], "green", "changed by less than 0.1 %", 7)),
    (1e-2, Sign(SHADES[1], "yellow", "by less than 1 %", 8)),
    (1e-1, Sign(SHADES[2], "yellow", "by less than 10 %", 9)),
    (float("inf"), Sign(SHADES[3], "red", "by 10 % or more", 10)),
)
_DTYPE = Sign("d", "red", "another dtype", 11)
_SHAPE = Sign("s", "red", "another shape", 12)
_LEFT = Sign("<", "red", "only left", 13)
_RIGHT = Sign(">", "red", "only right", 14)
_ODD = Sign("!", "bold red", "NaN or infinity on one side only", 15)

_SIGNS = {
    DiffKind.IDENTICAL: IDENTICAL,
    DiffKind.WITHIN_ULP: _TOLERATED,
    DiffKind.WITHIN_TOLERANCE: _TOLERATED,
    DiffKind.CAST: _CAST,
    DiffKind.MOVED: _MOVED,
    DiffKind.RENAMED: _RENAMED,
    DiffKind.NOT_COMPARED: _UNKNOWN,
    DiffKind.DTYPE: _DTYPE,
    DiffKind.SHAPE: _SHAPE,
    DiffKind.ONLY_LEFT: _LEFT,
    DiffKind.ONLY_RIGHT: _RIGHT,
}


def sign_of(tensor: TensorDiff) -> Sign:
    """Return the sign of one tensor; the shades show the RMS change relative to the RMS."""
    change = tensor.change
    if change is not None and change.odd:  # whatever the kind: no number says how far NaN is
        return _ODD
    if tensor.kind is not DiffKind.CHANGED:
        return _SIGNS[tensor.kind]
    if change is not None and (change.from_zero or change.to_zero):
        return _ZERO
    share = change.relative_rms if change is not None else None
    if share is None:  # without a finite norm the change may be of any size
        return _LEVELS[-1][1]
    return next(sign for limit, sign in _LEVELS if share < limit)


class _Group:
    """A group of tensors: of blocks by role and number, of the others by name."""

    def __init__(self) -> None:
        self.cells: Dict[str, Dict[int, Sign]] = {}
        self.others: Dict[str, Sign] = {}

    @property
    def blocks(self) -> List[int]:
        """The numbers of all blocks, in order."""
        return sorted({block for row in self.cells.values() for block in row})


def is_telling(comparison: Comparison) -> bool:
    """Whether a map shows more than one thing, and of blocks."""
    if all(place.block is None for place in comparison.map.places):
        return False
    signs = map(sign_of, comparison.tensors)
    first = next(signs, None)
    return any(sign is not first for sign in signs)


def write_map(page: Page, comparison: Comparison) -> None:
    """Draw all tensors; a cell with several shows the heaviest sign."""
    groups = _groups(comparison)
    used: Dict[Sign, None] = {}  # the legend explains these alone
    for title, group in list(groups.items())[:_MOST_GROUPS]:
        page.blank()
        page.line(Text(printable(title), style="bold"), 2)
        _write_group(page, group, comparison.map.rows)
        used.update((sign, None) for row in group.cells.values() for sign in row.values())
        used.update((sign, None) for sign in group.others.values())
    if len(groups) > _MOST_GROUPS:
        page.line(Text(f"and {count(len(groups) - _MOST_GROUPS, 'stack')} more"), 2)
    page.blank()
    signs = sorted(used, key=lambda sign: sign.weight)
    _write_row(page, [(sign, sign.meaning) for sign in signs], 2)


def _write_row(page: Page, items: List[Tuple[Sign, str]], indent: int) -> None:
    """Write signs with their words, as many on a line as fit."""
    line = Text()
    for sign, words in items:
        item = styled(page.sign(sign.character), sign.style).append(f" {words}")
        if (
            line
            and page.width is not None
            and indent + line.cell_len + 2 + item.cell_len > page.width
        ):
            page.line(line, indent, indent + 2)
            line = Text()
        line = line.append("  ").append_text(item) if line else item
    if line:
        page.line(line, indent, indent + 2)


def _groups(comparison: Comparison) -> Dict[str, _Group]:
    groups: Dict[str, _Group] = {}
    for tensor, place in zip(comparison.tensors, comparison.map.places):
        sign = sign_of(tensor)
        group = groups.setdefault(place.group, _Group())
        if place.block is None:
            group.others[place.row] = _heavier(group.others.get(place.row), sign)
        else:
            row = group.cells.setdefault(place.row, {})
            row[place.block] = _heavier(row.get(place.block), sign)
    return groups


def _heavier(first: Sign | None, second: Sign) -> Sign:
    return second if first is None or second.weight > first.weight else first


def _write_group(page: Page, group: _Group, first: Sequence[str]) -> None:
    # in the order in which a block computes, then by name
    known = [(role, group.cells[role]) for role in first if role in group.cells]
    rows = [*known, *(row for row in group.cells.items() if row[0] not in first)][:_MOST_ROLES]
    blocks = group.blocks[:_MOST_BLOCKS]
    labels = max([columns(_label(role)) for role, _ in rows] + [len("blocks")])
    room = (page.width or 80) - 4 - labels - 2
    cell = 2 if 2 * len(blocks) <= room else 1  # two columns are about as wide as a line is high
    for start in range(0, len(blocks), room // cell):
        part = blocks[start : start + room // cell]
        _write_numbers(page, part, labels, cell)
        for role, row in rows:
            text = Text(padded(_label(role), labels + 2))
            for block in part:
                sign = row.get(block)
                character = page.sign(sign.character) if sign else " "
                # a shade fills the cell, so that rows become bars
                wide = character * cell if sign in _FILLING else character.ljust(cell)
                text.append(wide, sign.style if sign else "")
            page.line(text, 4)
    _write_hidden(page, len(group.cells) - len(rows), len(group.blocks) - len(blocks))
    _write_others(page, group)


_FILLING = frozenset(sign for _, sign in _LEVELS)


def _label(role: str) -> str:
    return start_of(printable(role), _LONGEST_ROLE)


def _write_numbers(page: Page, blocks: List[int], labels: int, cell: int) -> None:
    """Write every fifth number, and those that follow a gap, above the columns."""
    line = ""
    for place, block in enumerate(blocks):
        marked = block % 5 == 0 or place == 0 or blocks[place - 1] != block - 1
        if marked and len(line) <= place * cell:  # or it would be written over the one before
            line = line.ljust(place * cell) + f"{block} "
    page.line(Text("blocks".ljust(labels + 2) + line.rstrip(), style="dim"), 4)


def _write_hidden(page: Page, roles: int, blocks: int) -> None:
    for number, noun in ((roles, "role"), (blocks, "block")):
        if number > 0:
            page.line(Text(f"and {count(number, noun)} more, not drawn"), 4)


def _write_others(page: Page, group: _Group) -> None:
    items = [(sign, printable(name)) for name, sign in group.others.items()]
    _write_row(page, items[:_MOST_OTHERS], 4)
    if len(items) > _MOST_OTHERS:
        page.line(Text(f"and {len(items) - _MOST_OTHERS:,} more, not drawn"), 4)
