"""``--image`` and ``--pictures``: the images that models restore, and files to look at them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Iterable, Iterator, Tuple

import click

from ckpttool.cli.console import say_cleaned
from ckpttool.findings.errors import UsageError
from ckpttool.findings.pictures import side_by_side

if TYPE_CHECKING:
    from ckpttool.findings.pictures import Picture, ReconstructionChange
    from ckpttool.findings.results import Report

image_option = click.option(
    "--image",
    "images",
    multiple=True,
    metavar="FILE",
    help="An image to reconstruct with the decoder, three quarters of its patches masked "
    "(repeatable). Needs Pillow: pip install 'ckpttool[images]'.",
)
pictures_option = click.option(
    "--pictures",
    metavar="FOLDER",
    help="Write the reconstructions to this folder: a PNG for each image of --image.",
)

#: A name for a PNG file, and what is side by side in it.
Row = Tuple[str, Iterable["Picture"]]


def check_pictures(folder: str | None, images: Iterable[str]) -> None:
    """Make the folder, before anything is read.

    Raises:
        UsageError: no image was named, or the folder cannot be made.
    """
    if folder is None:
        return
    if not images:
        raise UsageError("--pictures has nothing to write", fix="Name an image: --image FILE.")
    try:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 (any text may be a path here)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"the folder cannot be made: {reason}", path=folder) from error


def rows_of(report: Report) -> Iterator[Row]:
    """Return the reconstructions of a run of ``verify``."""
    for file in report.files:
        for one in file.reconstructions:
            pictures = (one.original, one.masked, one.restored, one.pasted)
            yield f"{_stem(file.path)}-{_stem(one.image)}", pictures


def rows_of_changes(
    left: str, right: str, changes: Iterable[ReconstructionChange]
) -> Iterator[Row]:
    """Return the reconstructions of a run of ``diff``."""
    for one in changes:
        image, masked = one.left.original, one.left.masked
        pictures = (image, masked, one.left.restored, one.right.restored, one.difference)
        yield f"{_stem(left)}-{_stem(right)}-{_stem(one.left.image)}", pictures


def write_pictures(folder: str | None, rows: Iterable[Row]) -> None:
    """Write rows of pictures as PNG files, all of them or none.

    Raises:
        OutputError: one cannot be written; what stood there before is untouched.
    """
    if folder is None:
        return
    contents: dict[str, bytes] = {}
    for name, pictures in rows:
        path, number = os.path.join(folder, f"{name}.png"), 1  # noqa: PTH118 (text)
        while path in contents:  # two files of one name
            number += 1
            path = os.path.join(folder, f"{name}-{number}.png")  # noqa: PTH118 (text)
        contents[path] = side_by_side(pictures).png
    if contents:
        from ckpttool.files.publishing import write_files

        say_cleaned(write_files(contents))


def _stem(path: str) -> str:
    return Path(path).stem or "file"
