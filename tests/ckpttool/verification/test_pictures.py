"""``verify`` with images: reconstructions of a whole model, and a reason where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ckpttool import verify
from ckpttool.findings.errors import UsageError
from ckpttool.findings.results import FileReport
from tests.builders import checkpoints
from tests.builders.images import image_file


def verified(folder: Path, content: object, **options: object) -> FileReport:
    path = folder / "model.pth"
    torch.save(content, path)
    report = verify(str(path), images=[image_file(folder)], **options)  # type: ignore[arg-type]
    return report.files[0]


def test_a_whole_model_reconstructs_the_image(tmp_path: Path) -> None:
    file = verified(tmp_path, checkpoints.sound())
    (found,) = file.reconstructions
    assert (found.image, found.hidden) == (str(tmp_path / "ramp.png"), 12)
    assert not any("reconstruction" in one for one in file.unchecked)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"forward": False}, "--no-forward"),
        ({"schema": "none"}, "a schema has no model that restores images"),
    ],
)
def test_what_is_not_run_reconstructs_nothing_and_that_is_said(
    tmp_path: Path, options: dict[str, object], reason: str
) -> None:
    file = verified(tmp_path, checkpoints.sound(), **options)
    assert file.reconstructions == ()
    assert f"the reconstruction of 1 image ({reason})" in file.unchecked


def test_an_encoder_alone_reconstructs_nothing_and_that_is_said(tmp_path: Path) -> None:
    file = verified(tmp_path, checkpoints.encoder_only())
    told = "the reconstruction of 1 image (the file does not hold all of the model)"
    assert (file.reconstructions, told in file.unchecked) == ((), True)


def test_without_an_image_nothing_is_said_of_reconstructions(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save(checkpoints.encoder_only(), path)
    file = verify(str(path)).files[0]
    assert (file.reconstructions, [one for one in file.unchecked if "image" in one]) == ((), [])
    assert "reconstructions" not in verify(str(path)).to_dict()["files"][0]


def test_the_arguments_in_the_file_say_how_its_pixels_are_normalised(tmp_path: Path) -> None:
    content = {"model": checkpoints.state(), "args": {"norm_pix_loss": True}}
    (found,) = verified(tmp_path, content).reconstructions
    assert (found.normalised, found.basis) == (True, "args.norm_pix_loss in the file")


def test_an_image_that_cannot_be_read_stops_the_run_before_the_weights(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.png"):
        verify(str(tmp_path / "none.pth"), images=str(tmp_path / "none.png"))
