"""Histograms as small pictures: how often values lie where, the count on a logarithmic scale."""

from __future__ import annotations

import math
from typing import NamedTuple, Sequence

from ckpttool.findings.text import digits_of
from ckpttool.reports.html.room import Room
from ckpttool.reports.html.shown import FIRST, SECOND, Drawn, name, number, whole

_WIDTH, _HEIGHT = 240, 72  # of a block's picture, in units of its view box
_SMALL = 14  # the height of one in a table
_SMALL_BINS = 20
_TABLE_BINS = 24
# Of the sides of a comparison, where the style sheet is not applied.
_LOOKS = ("", f' fill="none" stroke="{SECOND}"')
_DIGITS = 3  # of an edge, if these tell it from the others


class Bins(NamedTuple):
    """Counts of bins of one width, from ``low`` to ``high``; those outside of them.

    ``sampled`` is whether they were counted in a sample.
    """

    low: float
    high: float
    counts: tuple[int, ...]
    below: int = 0
    above: int = 0
    sampled: bool = False


class Block(NamedTuple):
    """The values of a block: its name, and its counts on each side of a comparison."""

    label: str
    note: str
    sides: tuple[Bins, ...]


class Panel(NamedTuple):
    """A block's picture with its caption."""

    label: str
    note: str
    picture: Drawn


class Table(NamedTuple):
    """The counts of all blocks: a row per bin, a column per block and side."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Histograms(NamedTuple):
    """The pictures of all blocks, their common ends, and the table of the same counts."""

    panels: tuple[Panel, ...]
    low: str
    high: str
    bins: int
    table: Table
    names: tuple[str, ...]
    left_out: int
    sampled: bool


def histograms(blocks: Sequence[Block], side_names: Sequence[str], room: Room) -> Histograms | None:
    """Return the pictures of blocks whose bins are the same; ``None`` if there are none."""
    drawn: list[tuple[Block, Panel]] = []
    for block in blocks:
        panel = Panel(name(block.label), block.note, _picture(block))
        counts = [each for side in block.sides for each in _merged(side.counts, _TABLE_BINS)]
        if not room.take(len(panel.picture) + 400 + sum(len(whole(each)) + 9 for each in counts)):
            break
        drawn.append((block, panel))
    if not drawn:
        return None
    bins = drawn[0][0].sides[0]
    return Histograms(
        tuple(panel for _, panel in drawn),
        number(bins.low, digits_of(bins.low, bins.high, _DIGITS)),
        number(bins.high, digits_of(bins.low, bins.high, _DIGITS)),
        len(bins.counts),
        _table([block for block, _ in drawn], side_names),
        tuple(side_names),
        len(blocks) - len(drawn),
        any(side.sampled for block, _ in drawn for side in block.sides),
    )


def small(*sides: Bins) -> Drawn:
    """Return a histogram for a row of a table, without words: the row has the numbers.

    Of both sides of a comparison, which have the same bins, one is drawn over the other.
    """
    merged = [_merged(side.counts, _SMALL_BINS) for side in sides]
    width = 4 * max(map(len, merged))
    top = max(max(counts, default=0) for counts in merged)
    paths = [
        f'<path class="side{at}" d="{_steps(_heights(counts, top, _SMALL), width, _SMALL)}"/>'
        for at, counts in enumerate(merged)
    ]
    return Drawn(
        f'<svg class="spark" width="{width}" height="{_SMALL}" fill="{FIRST}" '
        f'viewBox="0 0 {width} {_SMALL}" preserveAspectRatio="none" '
        f'aria-hidden="true">{"".join(paths)}</svg>'
    )


def _picture(block: Block) -> Drawn:
    top = max((max(side.counts, default=0) for side in block.sides), default=0)
    outlines = [
        _steps(_heights(side.counts, top, _HEIGHT), _WIDTH, _HEIGHT) for side in block.sides
    ]
    paths = [
        f'<path class="side{at}"{look} d="{path}"/>'
        for at, (look, path) in enumerate(zip(_LOOKS, outlines))
    ]
    bins = block.sides[0]
    zero = ""
    if bins.low < 0 < bins.high:
        share = -bins.low / 2 / (bins.high / 2 - bins.low / 2)
        at = round(_WIDTH * share, 1)
        zero = f'<line class="zero" x1="{at:g}" x2="{at:g}" y1="0" y2="{_HEIGHT}"/>'
    return Drawn(
        f'<svg width="{_WIDTH}" height="{_HEIGHT + 1}" viewBox="0 0 {_WIDTH} {_HEIGHT + 1}" '
        f'fill="{FIRST}" preserveAspectRatio="none" aria-hidden="true">'
        f'{"".join(paths)}{zero}<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT}.5" '
        f'y2="{_HEIGHT}.5"/></svg>'
    )


def _heights(counts: Sequence[int], top: int, height: int) -> list[float]:
    # by the logarithm: of a million values in one bin, ten in another would not be seen
    full = math.log1p(top)
    return [round(height * math.log1p(value) / full, 1) if full else 0.0 for value in counts]


def _steps(heights: Sequence[float], width: int, height: int) -> str:
    """Return the path of an outline in steps, from the base line and back to it."""
    if not heights:
        return ""
    step = width / len(heights)
    parts = [f"M0 {height}"]
    before = -1.0
    for at, value in enumerate(heights):
        if value != before:  # a run of equal bins is one line
            parts.append(f"H{round(at * step, 1):g}V{round(height - value, 1):g}")
        before = value
    parts.append(f"H{width}V{height}Z")
    return "".join(parts)


def _merged(counts: Sequence[int], most: int) -> list[int]:
    """Return the counts of at most so many bins, of equal numbers of those."""
    each = -(-len(counts) // most) or 1
    return [sum(counts[at : at + each]) for at in range(0, len(counts), each)]


def _table(blocks: Sequence[Block], side_names: Sequence[str]) -> Table:
    columns = [
        (f"{name(block.label)}{f' {side_name}' if side_name else ''}", bins)
        for block in blocks
        for side_name, bins in zip(side_names, block.sides)
    ]
    bins = blocks[0].sides[0]
    # of the pictures' bins some together: the table is to be read
    counts = [_merged(side.counts, _TABLE_BINS) for _, side in columns]
    edges = _edges(bins, -(-len(bins.counts) // _TABLE_BINS) or 1)
    digits = digits_of(edges[0], edges[1], _DIGITS)
    texts = [number(edge, digits) for edge in edges]
    rows = [
        (
            f"{texts[at]} to {texts[at + 1]}",
            *(whole(column[at]) for column in counts),
        )
        for at in range(len(counts[0]))
    ]
    outside = [("below", [side.below for _, side in columns])]
    outside.append(("above", [side.above for _, side in columns]))
    rows += [(word, *map(whole, numbers)) for word, numbers in outside if any(numbers)]
    return Table(("from, to", *(label for label, _ in columns)), tuple(rows))


def _edges(bins: Bins, each: int) -> list[float]:
    """Return the edges of so many bins together, the outermost ones to the bit."""
    number = max(1, len(bins.counts))
    # shares of both ends, since their distance may be beyond float64
    shares = [at / number for at in (*range(0, number, each), number)]
    return [bins.low * (1 - share) + bins.high * share for share in shares]
