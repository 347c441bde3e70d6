"""Reconstructions of images as rows of text: the loss, and what it is to be compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterable

from rich.text import Text

from ckpttool.findings.text import printable

if TYPE_CHECKING:
    from ckpttool.findings.pictures import Reconstruction, ReconstructionChange
    from ckpttool.reports.terminal.page import Page


def write_reconstructions(
    page: Page, found: Iterable[Reconstruction], indent: int = 2, hang: int = 15
) -> None:
    """Write a row for each image, and how the pixels were taken, which is the same for all."""
    told: dict[str, None] = {}
    for one in found:
        page.row("image", Text(f"{printable(one.image)}: {_of(one)}"), indent, hang)
        told[_pixels(one)] = None
    for text in told:
        page.row("pixels", Text(text), indent, hang)


def write_changes(page: Page, changes: Iterable[ReconstructionChange]) -> None:
    """Write a row for each image that two files reconstruct, and how the pixels were taken."""
    pixels: dict[str, str] = {}  # of each side; the same for all images
    for one in changes:
        loss = f"loss {one.left.loss:.4g} and {one.right.loss:.4g}"
        apart = f"mean difference {one.mean:.3g} of 255, largest {one.largest:.3g}"
        page.row("image", Text(f"{printable(one.left.image)}: {apart}; {loss} {_where(one.left)}"))
        pixels = {"left": _pixels(one.left), "right": _pixels(one.right)}
    if len(set(pixels.values())) > 1:
        for side, text in pixels.items():
            page.row("pixels", Text(f"{side}: {text}"))
    elif pixels:
        page.row("pixels", Text(pixels["left"]))


def _of(one: Reconstruction) -> str:
    loss = f"loss {one.loss:.4g} {_where(one)}"
    if one.loss < one.constant_loss:
        return f"{loss} (mean colour: {one.constant_loss:.4g})"
    return f"{loss}, no better than the mean colour ({one.constant_loss:.4g})"


def _where(one: Reconstruction) -> str:
    return f"on {one.hidden:,} hidden patches of {one.patches:,}"


def _pixels(one: Reconstruction) -> str:
    how = "normalised by patch; shown with each patch's own mean and variance"
    how = how if one.normalised else "not normalised by patch"
    return f"{how} ({printable(one.basis)})"
