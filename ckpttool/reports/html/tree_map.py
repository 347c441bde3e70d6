"""The tree map: how many parameters each part of the model has, and where they come from."""

from __future__ import annotations

from html import escape
from typing import NamedTuple, Sequence

from ckpttool.findings.text import percent
from ckpttool.reports.html.room import Room, written
from ckpttool.reports.html.shown import FIRST, PAPER, Drawn, name, parameters, whole

_WIDTH, _HEIGHT = 1000, 360
_LETTER, _LINE = 8.2, 18  # of the labels, in units of the view box


class Leaf(NamedTuple):
    """A part of the model.

    Attributes:
        label: its name.
        origin: ``file``, ``missing`` or ``unexpected``; of a comparison ``both``, ``left`` or
            ``right``.
        tensors, elements: how many.
    """

    label: str
    origin: str
    tensors: int
    elements: int


class TreeRow(NamedTuple):
    """A row of the table of the same numbers."""

    label: str
    origin: str
    tensors: str
    elements: str
    share: str


class TreeMap(NamedTuple):
    """The picture, its table, which origins there are, and how many parts are not shown."""

    picture: Drawn
    rows: tuple[TreeRow, ...]
    origins: tuple[tuple[str, str], ...]
    left_out: int


class _Box(NamedTuple):
    x: float
    y: float
    width: float
    height: float


#: The origins in the order of the legend, with the words for them.
ORIGINS = {
    "file": "from the file",
    "missing": "not filled by the file",
    "unexpected": "unexpected: the model has no place for it",
    "both": "in both files",
    "left": "only in A",
    "right": "only in B",
}


def tree_map(leaves: Sequence[Leaf], room: Room) -> TreeMap | None:
    """Return the tree map of the parts that have parameters, the largest first."""
    total = sum(leaf.elements for leaf in leaves)
    ordered = sorted((leaf for leaf in leaves if leaf.elements), key=lambda leaf: -leaf.elements)
    kept = room.fitting(ordered, lambda leaf: 2 * written(name(leaf.label)) + 420)
    if not kept:
        return None
    rest = ordered[len(kept) :]
    boxes = _squarified([leaf.elements for leaf in kept], _Box(0, 0, _WIDTH, _HEIGHT))
    cells = "".join(_cell(leaf, box, total) for leaf, box in zip(kept, boxes))
    rows = [
        TreeRow(
            name(leaf.label),
            ORIGINS[leaf.origin],
            whole(leaf.tensors),
            whole(leaf.elements),
            percent(leaf.elements, total),
        )
        for leaf in kept
    ]
    present = {leaf.origin for leaf in kept}
    picture = (
        f'<svg class="tree" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Parameters by part of the model; the table below has the numbers">'
        f"{cells}</svg>"
    )
    origins = tuple((key, told) for key, told in ORIGINS.items() if key in present)
    return TreeMap(Drawn(picture), tuple(rows), origins, len(rest))


def _cell(leaf: Leaf, box: _Box, total: int) -> str:
    label, size = name(leaf.label), parameters(leaf.elements)
    told = f"{label}: {size} parameters, {percent(leaf.elements, total)}, {ORIGINS[leaf.origin]}"
    x, y, width, height = (round(part, 1) for part in box)
    place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    rect = f'<rect class="from-{leaf.origin}" fill="{FIRST}" stroke="{PAPER}" {place}/>'
    texts = ""
    for at, line in enumerate((label, size)):
        fits = len(line) * _LETTER < width - 12 and (at + 1) * _LINE < height - 4
        if not fits:
            break
        texts += (
            f'<text x="{x + 7:g}" y="{y + 16 + at * _LINE:g}" fill="{PAPER}">{escape(line)}</text>'
        )
    return f'<g class="leaf"><title>{escape(told)}</title>{rect}{texts}</g>'


def _squarified(sizes: Sequence[int], box: _Box) -> list[_Box]:
    """Return a box for each size, the areas in proportion, each about as wide as high.

    Rows are filled along the shorter side for as long as the worst of their boxes gets better.
    """
    scale = box.width * box.height / sum(sizes)
    areas = [size * scale for size in sizes]
    boxes: list[_Box] = []
    start = 0
    while start < len(areas):
        side = min(box.width, box.height)
        stop = start + 1
        total = areas[start]
        while stop < len(areas):
            larger = total + areas[stop]
            if _worst(areas[start], areas[stop], larger, side) > _worst(
                areas[start], areas[stop - 1], total, side
            ):
                break
            total, stop = larger, stop + 1
        row, box = _row(areas[start:stop], total, box)
        boxes += row
        start = stop
    return boxes


def _worst(largest: float, smallest: float, total: float, side: float) -> float:
    """Return the worst ratio of the sides of boxes in a row of this total area."""
    thick = total / side if side else 0.0
    if not (thick and smallest):
        return float("inf")
    return max(largest / thick**2, thick**2 / smallest)


def _row(areas: Sequence[float], total: float, box: _Box) -> tuple[list[_Box], _Box]:
    """Return the boxes of a row along the shorter side, and the box that is left."""
    along = min(box.width, box.height)
    thick = total / along if along else 0.0
    boxes, at = [], 0.0
    for area in areas:
        length = area / thick if thick else 0.0
        if box.width >= box.height:
            boxes.append(_Box(box.x, box.y + at, thick, length))
        else:
            boxes.append(_Box(box.x + at, box.y, length, thick))
        at += length
    if box.width >= box.height:
        return boxes, _Box(box.x + thick, box.y, max(0.0, box.width - thick), box.height)
    return boxes, _Box(box.x, box.y + thick, box.width, max(0.0, box.height - thick))
