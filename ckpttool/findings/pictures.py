"""What a masked autoencoder makes of pictures: pixels, the loss, and how pixels are kept as PNG.

The PNG here is the plainest: 8 bits of red, green and blue, each row as differences from pixel to
pixel. Every viewer shows it, and it takes no library but numpy, which is loaded where there is one.
"""

from __future__ import annotations

import struct
import zlib
from base64 import b64decode, b64encode
from typing import Any, Iterable, NamedTuple

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER, _KIND = ">IIBBBBB", [8, 2, 0, 0, 0]
_COLOURS = 3
_SUB = 1  # the filter of a row: differences from the pixel to the left
#: No picture that is read back is larger: the images of no model are.
MOST_PIXELS = 1 << 24


class Picture(NamedTuple):
    """Pixels.

    Attributes:
        width, height: in pixels.
        pixels: red, green and blue from 0 to 255, row by row from the top.
    """

    width: int
    height: int
    pixels: bytes

    @property
    def png(self) -> bytes:
        """The picture as a PNG file."""
        return png_of(self)

    @property
    def base64(self) -> str:
        """The PNG file as text: what JSON and ``data:image/png;base64,`` take."""
        return b64encode(self.png).decode("ascii")


class Reconstruction(NamedTuple):
    """What a model with a decoder makes of one image of which it sees a part.

    Attributes:
        image: the path of the image, as the caller named it.
        fitted: how the image was made the model's size, in words.
        patches: of the image.
        hidden: how many of them the model does not see.
        loss: the model's own: mean squared error over the hidden patches, of pixels that are
            normalised as ImageNet's are, or by the mean and variance of each patch.
        constant_loss: that of a constant, for comparison: of the visible patches' mean colour,
            normalised as theirs is. A model that does not do better reconstructs nothing.
        normalised: whether the model's pixels are taken as normalised by patch
            (``norm_pix_loss``). They are shown with the mean and variance of the original patch.
        basis: how that is known, in words.
        original: the image as the model gets it.
        masked: the same with the hidden patches in grey.
        restored: the pixels that the model gives, of all patches.
        pasted: the same with the visible patches of the original.
    """

    image: str
    fitted: str
    patches: int
    hidden: int
    loss: float
    constant_loss: float
    normalised: bool
    basis: str
    original: Picture
    masked: Picture
    restored: Picture
    pasted: Picture

    def fields(self) -> dict[str, Any]:
        """Return the fields for JSON, pictures as PNG in base64."""
        return {**self._asdict(), **_pictures(self)}


class ReconstructionChange(NamedTuple):
    """The reconstructions of one image by two files, and how far they are apart.

    Attributes:
        left, right: what each file makes of it.
        mean, largest: of the absolute differences between their ``restored`` pixels, which are
            from 0 to 255.
        scale: the factor by which the differences are shown larger, so that the largest is 255.
        difference: the absolute differences.
    """

    left: Reconstruction
    right: Reconstruction
    mean: float
    largest: int
    scale: float
    difference: Picture

    def fields(self) -> dict[str, Any]:
        """Return the fields for JSON, pictures as PNG in base64."""
        plain = self._asdict()
        return {
            **plain,
            "left": self.left.fields(),
            "right": self.right.fields(),
            **_pictures(self),
        }


def change_of(left: Reconstruction, right: Reconstruction) -> ReconstructionChange:
    """Return how far apart two reconstructions of one image are; their sizes must be the same."""
    import numpy as np

    one, other = (np.frombuffer(side.restored.pixels, np.uint8) for side in (left, right))
    apart = np.maximum(one, other) - np.minimum(one, other)
    largest = int(apart.max())
    scale = 255 / largest if largest else 1.0
    shown = (apart * scale).round().astype(np.uint8).tobytes()
    picture = Picture(left.restored.width, left.restored.height, shown)
    return ReconstructionChange(left, right, float(apart.mean()), largest, scale, picture)


def _pictures(holder: Any) -> dict[str, str]:
    values = holder._asdict().items()
    return {name: value.base64 for name, value in values if isinstance(value, Picture)}


_GAP = 4
_LEAST_HEIGHT = 192  # the images of small models would be hard to see


def side_by_side(pictures: Iterable[Picture]) -> Picture:
    """Return pictures of one height in a row, with white between, small ones enlarged."""
    row = tuple(pictures)
    times = max(1, _LEAST_HEIGHT // row[0].height)
    gap = b"\xff" * (_GAP * times * _COLOURS)
    lines = []
    for top in range(row[0].height):
        parts = (_line(one, top, times) for one in row)
        lines += [gap.join(parts)] * times
    width = times * (sum(one.width for one in row) + _GAP * (len(row) - 1))
    return Picture(width, times * row[0].height, b"".join(lines))


def _line(picture: Picture, top: int, times: int) -> bytes:
    stride = picture.width * _COLOURS
    line = picture.pixels[top * stride : (top + 1) * stride]
    if times == 1:
        return line
    pixels = (line[at : at + _COLOURS] for at in range(0, stride, _COLOURS))
    return b"".join(pixel * times for pixel in pixels)


# --- PNG (W3C Recommendation, third edition) ----------------------------------------------


def png_of(picture: Picture) -> bytes:
    """Return a picture as a PNG file."""
    import numpy as np

    width, height, _ = picture
    pixels = np.frombuffer(picture.pixels, np.uint8).reshape(height, width, _COLOURS)
    rows = np.empty((height, 1 + width * _COLOURS), np.uint8)
    rows[:, 0] = _SUB
    differences = pixels.copy()
    differences[:, 1:] -= pixels[:, :-1]  # modulo 256, as the format wants it
    rows[:, 1:] = differences.reshape(height, -1)
    header = struct.pack(_HEADER, width, height, *_KIND)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def picture_of(text: str) -> Picture | None:
    """Return the picture that :attr:`Picture.base64` wrote; ``None`` for anything else."""
    try:
        png = b64decode(text, validate=True)
        width, height, *kind = struct.unpack_from(_HEADER, png, 16)
        (length,) = struct.unpack_from(">I", png, 33)
        size = height * (width * _COLOURS + 1)
        if kind != _KIND or not 0 < width * height <= MOST_PIXELS:
            return None
        rows = zlib.decompressobj().decompress(png[41 : 41 + length], size + 1)
    except (ValueError, struct.error, zlib.error):
        return None
    if len(rows) != size or set(rows[:: size // height]) != {_SUB}:
        return None
    return Picture(width, height, _unfiltered(rows, width))


def _unfiltered(rows: bytes, width: int) -> bytes:
    import numpy as np

    differences = np.frombuffer(rows, np.uint8).reshape(-1, 1 + width * _COLOURS)[:, 1:]
    pixels = differences.reshape(-1, width, _COLOURS).cumsum(axis=1, dtype=np.uint8)
    return pixels.tobytes()
