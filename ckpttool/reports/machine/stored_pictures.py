"""Reading the reconstructions of images in a stored result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpttool.findings.pictures import Picture, Reconstruction, picture_of

if TYPE_CHECKING:
    from ckpttool.reports.machine.fields import Fields


def read_reconstruction(fields: Fields) -> Reconstruction:
    """Return what a model makes of an image."""
    return Reconstruction(
        fields.text("image"),
        fields.text("fitted"),
        fields.whole("patches"),
        fields.whole("hidden"),
        fields.number("loss"),
        fields.number("constant_loss"),
        fields.truth("normalised"),
        fields.text("basis"),
        _picture(fields, "original"),
        _picture(fields, "masked"),
        _picture(fields, "restored"),
        _picture(fields, "pasted"),
    )


def _picture(fields: Fields, name: str) -> Picture:
    # nothing but the pixels is taken over: a document may hold any bytes under this name
    picture = picture_of(fields.text(name))
    if picture is None:
        fields.wrong(name, "a PNG as ckpttool writes it, in base64")
    return picture
