"""Small images, in memory and as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Tuple

from ckpttool.models.pictures.images import Photo
from tests.builders import extras

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Image: Any = extras.pillow()


def image(size: Tuple[int, int] = (40, 24)) -> Picture:
    """A red ramp to the right and a green one downward; blue where both are high."""
    wide, high = size
    picture: Picture = Image.new("RGB", size)
    for top in range(high):
        for left in range(wide):
            red, green = 255 * left // wide, 255 * top // high
            picture.putpixel((left, top), (red, green, min(red, green)))
    return picture


def photo(path: str = "ramp.png", size: Tuple[int, int] = (40, 24)) -> Photo:
    return Photo(path, image(size))


def image_file(folder: Path, name: str = "ramp.png", size: Tuple[int, int] = (40, 24)) -> str:
    """The image as a file, in the format that its name says."""
    path = folder / name
    image(size).save(path)
    return str(path)
