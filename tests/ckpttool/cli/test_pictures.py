"""``--image`` and ``--pictures``: what is reported, and the files that are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.builders import checkpoints
from tests.builders.commands import invoke
from tests.builders.images import Image, image_file


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.pth"
    torch.save(checkpoints.sound(), path)
    return str(path)


def test_the_report_has_a_row_for_each_image(model: str, tmp_path: Path) -> None:
    images = [image_file(tmp_path, name) for name in ("one.png", "two.png")]
    done = invoke("verify", model, "--image", images[0], "--image", images[1])
    rows = [line.split()[:2] for line in done.out.splitlines() if line.startswith("  image ")]
    assert rows == [["image", f"{image}:"] for image in images]
    assert "on 12 hidden patches of 16" in done.out
    assert "not normalised by patch (assumed: " in done.out


def test_of_several_files_each_has_its_rows(model: str, tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save(checkpoints.retrained(), other)
    done = invoke("verify", model, str(other), "--image", image_file(tmp_path))
    assert done.out.count("on 12 hidden patches of 16") == 2


def test_pictures_are_written_side_by_side(model: str, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "pictures"
    image = image_file(tmp_path)
    done = invoke("verify", model, "--image", image, "--image", image, "--pictures", str(folder))
    assert done.code == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "model-ramp-2.png",
        "model-ramp.png",
    ]
    with Image.open(folder / "model-ramp.png") as picture:
        # four of 32 pixels and three gaps of 4, six times enlarged
        assert picture.size == ((4 * 32 + 3 * 4) * 6, 32 * 6)


def test_a_difference_is_written_beside_both(model: str, tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save(checkpoints.retrained(), other)
    image = image_file(tmp_path)
    done = invoke("diff", model, str(other), "--image", image, "--pictures", str(tmp_path / "out"))
    assert done.code == 1
    with Image.open(tmp_path / "out" / "model-other-ramp.png") as picture:
        assert picture.size == ((5 * 32 + 4 * 4) * 6, 32 * 6)
    assert "mean difference" in done.out


def test_a_picture_in_json_is_a_png(model: str, tmp_path: Path) -> None:
    done = invoke("verify", model, "--image", image_file(tmp_path), "--format", "json")
    (found,) = json.loads(done.out)["files"][0]["reconstructions"]
    assert (found["image"], found["patches"], found["hidden"]) == ("ramp.png", 16, 12)
    assert found["original"].startswith("iVBORw0KGgo")


def test_pictures_without_an_image_are_a_mistake(model: str, tmp_path: Path) -> None:
    done = invoke("verify", model, "--pictures", str(tmp_path))
    assert (done.code, "--image FILE" in done.last) == (2, True)


def test_a_folder_that_cannot_be_made_is_told_before_anything_is_read(
    model: str, tmp_path: Path
) -> None:
    image = image_file(tmp_path)
    done = invoke("verify", model, "--image", image, "--pictures", model)
    assert (done.code, done.out) == (2, "")
    assert "cannot be made" in done.last


def test_a_report_does_not_replace_an_image(model: str, tmp_path: Path) -> None:
    image = image_file(tmp_path)
    done = invoke("verify", model, "--image", image, "--report", f"json={image}")
    assert (done.code, "cannot be written there" in done.error) == (2, True)
