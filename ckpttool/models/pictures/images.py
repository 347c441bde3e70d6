"""Image files as the pixels that a model takes. Reading them needs Pillow, the extra ``images``."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Iterable, NamedTuple

from ckpttool.findings.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

    from PIL import Image

#: What is read; Pillow knows more formats, of which some start other programs.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
#: Modes of which the colours are 8 bits: others would be cut off.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB")


class Photo(NamedTuple):
    """An image.

    Attributes:
        path: as the caller named it.
        pixels: in red, green and blue.
        left_out: what else the file holds, in words; empty for nothing.
    """

    path: str
    pixels: Image.Image
    left_out: str = ""


class Fitted(NamedTuple):
    """An image of a model's size: height x width x 3 bytes, and how it was made, in words."""

    pixels: bytes
    how: str


def read_images(paths: Iterable[str]) -> tuple[Photo, ...]:
    """Read image files: formats by their content, turned as their EXIF data says.

    Raises:
        UsageError: Pillow is not installed, or a file is no image that is read.
    """
    return tuple(map(_read, paths))


def _read(path: str) -> Photo:
    pillow = _pillow()
    try:
        with warnings.catch_warnings():
            # of a small file with very many pixels; other warnings are about metadata
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(path, formats=FORMATS) as image:
                if image.mode not in _MODES:
                    raise UsageError(
                        "the pixels of the image are of a kind that is not read",
                        path=path,
                        expected="8 bits per channel",
                        found=f"Pillow's mode {image.mode}",
                    )
                return Photo(path, _turned(image).convert("RGB"), _left_out(image))
    except (pillow.DecompressionBombError, pillow.DecompressionBombWarning) as error:
        raise UsageError("the image has too many pixels", path=path) from error
    except pillow.UnidentifiedImageError as error:
        raise UsageError(
            "not an image of a supported format", path=path, expected=", ".join(FORMATS)
        ) from error
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises any of these
        if isinstance(error, UsageError):
            raise
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UsageError(f"the image cannot be read: {reason}", path=path) from error


def _left_out(image: Image.Image) -> str:
    """Say what a viewer may show, and a model does not get."""
    found = []
    if getattr(image, "is_animated", False):
        found.append("the other frames")
    # a model gets the colours that the file has where nothing is to be seen
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        found.append("transparency")
    return " and ".join(found)


def _turned(image: Image.Image) -> Image.Image:
    from PIL import ImageOps

    return ImageOps.exif_transpose(image) or image


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        if error.name != "PIL":
            raise
        raise UsageError(
            "reading an image needs Pillow, which is not installed",
            fix="pip install 'ckpttool[images]'.",
        ) from error
    return Image


def fit(photo: Photo, height: int, width: int) -> Fitted:
    """Cut the middle of an image to the ratio of a model's, and resize it, bicubic."""
    from PIL import Image

    across, down = photo.pixels.size
    # the largest part of this ratio
    wide = min(across, max(1, round(down * width / height)))
    high = min(down, max(1, round(across * height / width)))
    left, top = (across - wide) // 2, (down - high) // 2
    box = (left, top, left + wide, top + high)
    resized = photo.pixels.resize((width, height), Image.Resampling.BICUBIC, box=box)
    whole = "" if (wide, high) == (across, down) else f"the middle {wide} x {high} of "
    how = f"{whole}{across} x {down} pixels"
    if (wide, high) != (width, height):
        how += f", resized to {width} x {height}"
    if photo.left_out:
        how += f", without {photo.left_out}"
    return Fitted(resized.tobytes(), how)
