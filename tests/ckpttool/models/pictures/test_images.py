"""Image files: which are read, how they are made a model's size, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ckpttool.findings.errors import UsageError
from ckpttool.models.pictures.images import fit, read_images
from tests.builders.images import Image, image, image_file, photo


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.gif", "a.ppm", "a.tiff"])
def test_common_formats_are_read(tmp_path: Path, name: str) -> None:
    path = image_file(tmp_path, name)
    (read,) = read_images([path])
    assert (read.path, read.pixels.size, read.pixels.mode) == (path, (40, 24), "RGB")


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "picture.txt"
    image().save(path, format="PNG")
    assert read_images([str(path)])[0].pixels.tobytes() == image().tobytes()


@pytest.mark.parametrize(
    ("size", "how"),
    [
        ((40, 24), "the middle 24 x 24 of 40 x 24 pixels, resized to 8 x 8"),
        ((24, 40), "the middle 24 x 24 of 24 x 40 pixels, resized to 8 x 8"),
        ((16, 16), "16 x 16 pixels, resized to 8 x 8"),
        ((8, 8), "8 x 8 pixels"),
        ((8, 9), "the middle 8 x 8 of 8 x 9 pixels"),
        ((1, 100), "the middle 1 x 1 of 1 x 100 pixels, resized to 8 x 8"),
    ],
)
def test_the_middle_is_cut_to_the_ratio_and_resized(size: tuple[int, int], how: str) -> None:
    found = fit(photo(size=size), 8, 8)
    assert (found.how, len(found.pixels)) == (how, 8 * 8 * 3)


def test_an_image_of_the_right_size_stays_as_it_is() -> None:
    assert fit(photo(size=(16, 8)), 8, 16).pixels == image((16, 8)).tobytes()


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    image((40, 24)).save(path, exif=exif)
    assert read_images([str(path)])[0].pixels.size == (24, 40)


def test_what_a_model_does_not_get_of_an_image_is_said(tmp_path: Path) -> None:
    clear, moving, palette = (str(tmp_path / name) for name in ("a.png", "b.gif", "c.png"))
    seen = image()
    seen.putalpha(0)
    seen.save(clear)
    image().save(moving, save_all=True, append_images=[image().rotate(180)])
    image().convert("P").save(palette, transparency=0)
    plain, *others = read_images([image_file(tmp_path), clear, moving, palette])
    assert fit(plain, 24, 40).how == "40 x 24 pixels"
    assert [fit(one, 24, 40).how for one in others] == [
        "40 x 24 pixels, without transparency",
        "40 x 24 pixels, without the other frames",
        "40 x 24 pixels, without transparency",
    ]
    # colours that a viewer hides are what a model gets
    assert fit(others[0], 24, 40).pixels == image().tobytes()


def test_what_is_no_image_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.png"
    path.write_bytes(b"PK\3\4 no image")
    with pytest.raises(UsageError, match=r"weights\.png: not an image of a supported format"):
        read_images([str(path)])


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_images([str(tmp_path / "none.png")])


def test_an_image_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = Path(image_file(tmp_path))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UsageError, match="the image cannot be read"):
        read_images([str(path)])


def test_an_image_of_a_billion_pixels_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = image_file(tmp_path)
    for most in (600, 400):  # Pillow warns from there on, and refuses twice of that
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        with pytest.raises(UsageError, match="too many pixels"):
            read_images([path])


def test_pixels_of_more_than_8_bits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    Image.new("I;16", (4, 4)).save(path)
    with pytest.raises(UsageError, match="expected 8 bits per channel"):
        read_images([str(path)])
