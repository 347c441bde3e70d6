"""``diff`` with images: how far the reconstructions of two files are apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ckpttool import diff
from ckpttool.comparison.result import Comparison, Outcome
from tests.builders import checkpoints, models
from tests.builders.images import image_file


def compared(folder: Path, left: Any, right: Any) -> Comparison:
    paths = [str(folder / name) for name in ("left.pth", "right.pth")]
    for path, content in zip(paths, (left, right)):
        torch.save(content, path)
    return diff(*paths, images=image_file(folder))


def test_the_same_weights_reconstruct_the_same(tmp_path: Path) -> None:
    found = compared(tmp_path, checkpoints.sound(), {"state_dict": checkpoints.state()})
    (one,) = found.reconstructions
    assert (one.mean, one.largest, one.scale) == (0, 0, 1)
    assert set(one.difference.pixels) == {0}


def test_other_weights_reconstruct_something_else(tmp_path: Path) -> None:
    found = compared(tmp_path, checkpoints.sound(), checkpoints.retrained())
    (one,) = found.reconstructions
    assert found.outcome is Outcome.DIFFERENT
    assert 0 < one.mean < one.largest <= 255
    assert max(one.difference.pixels) == 255
    at = one.difference.pixels.index(255)
    assert abs(one.left.restored.pixels[at] - one.right.restored.pixels[at]) == one.largest
    fields = found.to_dict()["reconstructions"][0]
    assert (fields["mean"], fields["left"]["image"]) == (one.mean, one.left.image)
    assert fields["difference"] == one.difference.base64


def test_a_file_without_a_decoder_is_named_in_what_was_not_compared(tmp_path: Path) -> None:
    found = compared(tmp_path, checkpoints.sound(), checkpoints.encoder_only())
    told = "the reconstruction of 1 image: the right file: it does not hold all of the model"
    assert (found.reconstructions, told in found.notes) == ((), True)


def test_a_file_of_no_known_model_is_named_too(tmp_path: Path) -> None:
    found = compared(tmp_path, {"weight": torch.ones(3)}, checkpoints.sound())
    told = "the reconstruction of 1 image: the left file: it is of no known model"
    assert told in found.notes


def test_models_for_images_of_other_sizes_are_not_compared(tmp_path: Path) -> None:
    larger = models.tiny_model(config=models.TINY._replace(img_size=64)).state_dict()
    found = compared(tmp_path, checkpoints.sound(), {"model": larger})
    assert "the models are for images of other sizes" in found.notes[-1]


def test_without_an_image_there_are_no_reconstructions(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save(checkpoints.sound(), path)
    assert "reconstructions" not in diff(path, path).to_dict()
