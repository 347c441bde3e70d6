"""Reconstructions: what a model with a decoder makes of images, as pictures with their captions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable, NamedTuple

from ckpttool.findings.text import printable
from ckpttool.reports.details import LONG
from ckpttool.reports.html.shown import name, number

if TYPE_CHECKING:
    from ckpttool.findings.pictures import Picture, Reconstruction, ReconstructionChange

#: Bytes of all pictures of a page, as base64. Beyond, the rest is counted.
MOST_BYTES = 4_000_000


class Shown(NamedTuple):
    """A picture: its caption, its size, and the PNG file as base64."""

    caption: str
    width: int
    height: int
    data: str


class Row(NamedTuple):
    """The pictures of one image, and what there is to say of them."""

    title: str
    pictures: tuple[Shown, ...]
    facts: tuple[tuple[str, str], ...]


class Pictures(NamedTuple):
    """The images that fit, and how many more there are."""

    rows: tuple[Row, ...]
    left_out: int


def pictures_of(found: Iterable[Reconstruction]) -> Pictures:
    """Return the reconstructions of one file."""
    return _fitting(map(_row, found))


def changes_of(found: Iterable[ReconstructionChange]) -> Pictures:
    """Return the reconstructions of both files of a comparison, and their differences."""
    return _fitting(map(_change_row, found))


def _fitting(every: Iterable[Row]) -> Pictures:
    rows: list[Row] = []
    left, out = MOST_BYTES, 0
    for row in every:
        size = sum(len(shown.data) for shown in row.pictures)
        if out or size > left:
            out += 1
            continue
        left -= size
        rows.append(row)
    return Pictures(tuple(rows), out)


def _row(one: Reconstruction) -> Row:
    pictures = (
        _shown("original, as the model gets it", one.original),
        _shown(f"what the model sees: {_hidden(one)}", one.masked),
        _shown("reconstruction of all patches", one.restored),
        _shown("with the visible patches of the original", one.pasted),
    )
    return Row(name(one.image), pictures, (*_facts(one), ("loss", _loss(one))))


def _change_row(one: ReconstructionChange) -> Row:
    times = "" if one.scale == 1 else f", shown {number(one.scale)} times as large"
    pictures = (
        _shown("original", one.left.original),
        _shown(f"what both see: {_hidden(one.left)}", one.left.masked),
        _shown("reconstruction by A", one.left.restored),
        _shown("reconstruction by B", one.right.restored),
        _shown(f"|A - B|{times}", one.difference),
    )
    apart = f"{number(one.mean)} on average, {number(one.largest)} at most, of 255"
    told = (*_facts(one.left), ("loss of A", _loss(one.left)), ("loss of B", _loss(one.right)))
    return Row(name(one.left.image), pictures, (*told, ("|A - B|", apart)))


def _hidden(one: Reconstruction) -> str:
    return f"{one.hidden:,} of {one.patches:,} patches are hidden"


def _facts(one: Reconstruction) -> tuple[tuple[str, str], ...]:
    pixels = "normalised by patch (norm_pix_loss), shown with mean and variance of the original"
    return (
        ("image", printable(one.fitted, LONG)),
        ("pixels", f"{pixels if one.normalised else 'as they are'}; {printable(one.basis, LONG)}"),
    )


def _loss(one: Reconstruction) -> str:
    constant = number(one.constant_loss, 4)
    return f"{number(one.loss, 4)} on the hidden patches (mean colour: {constant})"


def _shown(caption: str, picture: Picture) -> Shown:
    return Shown(caption, picture.width, picture.height, picture.base64)
