"""What is not run, though it could be, and the input of what is."""

from __future__ import annotations

from typing import Any, Dict

import pytest
import torch

from ckpttool.models.families.mae_forward import MAE_FORWARD, images_of
from ckpttool.models.families.mae_words import PUBLISHED
from mae.config import CONFIGS, MAEConfig
from tests.builders import models

TINY = MAEConfig(embed_dim=8, depth=1, num_heads=1, patch_size=1, img_size=8, in_chans=1)


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("change", [{}, {"img_size": 896}, {"num_classes": 1000, "img_size": 896}])
def test_models_of_a_published_size_are_run_on_large_images(
    name: str, change: Dict[str, Any]
) -> None:
    assert MAE_FORWARD.why_not(CONFIGS[name]._replace(**change)) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"img_size": 4096, "patch_size": 64}, None),
        ({"img_size": 8192, "patch_size": 64}, "too large"),  # for the memory
        ({"img_size": (4096, 64), "num_classes": 2}, "too large"),  # for the time
        ({"img_size": 128, "num_classes": 2, "depth": 900}, "too large"),
        ({"img_size": 128, "decoder_embed_dim": 8, "decoder_depth": 900}, "too large"),
        ({"num_classes": 2, "depth": 900}, None),
        ({"img_size": 1 << 20, "patch_size": 1 << 20, "num_classes": 2}, "too large"),
        ({"img_size": (1, 3)}, "of 3 patches none is shown"),
        ({"img_size": (1, 4)}, None),
        ({"img_size": (1, 3), "num_classes": 2}, None),  # a classifier sees all of them
        ({"img_size": 0}, "smaller than a patch"),
        ({"num_heads": 3}, "3 heads do not share a width of 8"),
    ],
)
def test_a_small_file_does_not_take_minutes_or_gigabytes(
    change: Dict[str, Any], reason: str | None
) -> None:
    found = MAE_FORWARD.why_not(TINY._replace(**change))
    assert (found is None) if reason is None else (reason in str(found))


def test_the_images_are_waves_of_mean_0_and_deviation_1() -> None:
    images = images_of(TINY._replace(img_size=64, in_chans=3))
    assert (tuple(images.shape), images.dtype) == ((2, 3, 64, 64), torch.float32)
    assert images.mean().abs() < 0.05
    assert (images.std(dim=(1, 2, 3)) - 1).abs().max() < 0.05
    number = torch.tensor(100, dtype=torch.float64)
    expected = torch.stack([(number * 0.37).sin(), (number * 0.011 + 1).cos()]) * 2**0.5
    assert torch.equal(images.reshape(2, -1)[:, 100], expected.float())


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        {"img_size": (24, 40)},  # of 15 patches 3 are shown
        {"img_size": (24, 40), "class_token": False},
        {"decoder_depth": 0},
        {"num_classes": 5},
        {"num_classes": 5, "pooling": "fc_norm", "class_token": False},
    ],
)
def test_outputs_have_the_shapes_that_are_foretold(change: Dict[str, Any], full: bool) -> None:
    config = models.TINY._replace(**change)
    build = models.tiny_classifier if config.num_classes else lambda one: models.tiny_model(0, one)
    with torch.no_grad():
        found = MAE_FORWARD.run(build(config).eval(), full, "cpu", torch.float32)
    shapes = {name: tuple(output.shape) for name, output in found.outputs.items()}
    assert shapes == MAE_FORWARD.shapes(config, full)
    assert found.tokens == (config.tokens if config.num_classes else None)
